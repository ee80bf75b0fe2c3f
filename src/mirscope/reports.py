def chimeras(*a): raise NotImplementedError
