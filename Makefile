# CI runs these and nothing else. `make setup` makes .venv with everything a developer needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup blast demo test gpu check format bench docs clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mirscope needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# NCBI BLAST+ is what `mirscope chimeras --engine blast` asks for; nothing else does, and its tests are skipped without.
blast:
	command -v blastn > /dev/null || apt-get install -y -q ncbi-blast+ || (apt-get update -q && apt-get install -y -q ncbi-blast+)

demo: setup
	$(BIN)/mirscope scan examples/mirnas.fa examples/utr3_reporters.fa -o results/demo --plot 2
	$(BIN)/mirscope scan examples/mirnas.fa examples/utr3_reporters.fa -o results/demo-seed --model seed --plot 2
	@$(BIN)/python examples/check.py results/demo/sites.tsv
	@$(BIN)/python examples/check.py results/demo-seed/sites.tsv
	@echo "Results: results/demo (duplex, the default model) and results/demo-seed (seed matches): sites.tsv, genes.tsv,"
	@echo "sites.bed, sites.gff3, plots/. Which of them to believe: README.md, 'How sure to be'."

test: setup
	$(BIN)/python -m pytest -n 2

gpu: setup
	$(BIN)/python -m pytest -m gpu

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup
	$(BIN)/python bench/run.py

docs: setup
	$(BIN)/python recipes/audits.py
	$(BIN)/python recipes/negatives.py
	$(BIN)/python recipes/dmiso_chimeras.py
	$(BIN)/python recipes/tables.py
	$(BIN)/python recipes/scan_rates.py
	$(BIN)/python recipes/genes.py
	$(BIN)/python recipes/enrichment.py
	$(BIN)/python recipes/hairpin_table.py
	$(BIN)/python recipes/discover.py
	$(BIN)/python recipes/explain.py
	$(BIN)/python recipes/motifs.py
	$(BIN)/python recipes/tutorial.py

clean:
	rm -rf .venv results bench/latest
