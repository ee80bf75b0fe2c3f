#!/bin/sh
# The bundled weights mitar, mitar1, mitar2: miTAR's network on its three data sets, on the published splits.
# One core each; the figures of the run that made them, with its times, are in the model cards (src/mirscope/weights).
# Settings were chosen on validation accuracy only (docs/decisions/008-training-mitar.md). Then: python recipes/cards.py
set -eu
OUT=${1:-results/training}
train() { mirscope train mitar --schedule one-cycle --learning-rate 0.005 --clip-norm 1 --set dropout=0.2 --threads 1 --resume "$@"; }
case ${2:-all} in
  mitar | all) train --data mirtarraw -o "$OUT/mitar" --epochs 110 --patience 110 --batch-size 100 --label-smoothing 0.05 --random-state 1 ;;
esac
case ${2:-all} in
  mitar1 | all) train --data deepmirtar -o "$OUT/mitar1" --epochs 400 --patience 400 --batch-size 100 --random-state 1 ;;
esac
case ${2:-all} in
  mitar2 | all) train --data miraw -o "$OUT/mitar2" --epochs 90 --patience 90 --batch-size 200 --label-smoothing 0.05 --random-state 1 --set target_length=40 ;;
esac
