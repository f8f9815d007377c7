# Every target sets itself up; a second run skips the set-up. PYTHON=… chooses the interpreter.
SHELL := /bin/sh
BIN := .venv/bin
# Without compiled modules every start of the command would compile them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow lint types contracts dependencies pytest wheel format docs site pictures bench lock mutants clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo:  ## Open the dashboard on a staged bad release, no AWS account needed
	@.ci/setup demo
	@$(BIN)/prodwatch demo

test: lint types contracts dependencies pytest wheel  ## Lint, types, import contracts, dependencies, tests, the built wheel

lint:
	@.ci/setup dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/prose

types:
	@.ci/setup dev
	$(BIN)/mypy
	$(BIN)/mypy --scripts-are-modules .ci/prose .ci/mutants .ci/*.py

contracts:
	@.ci/setup dev
	$(BIN)/lint-imports

dependencies:  ## Compare declared with imported dependencies
	@.ci/setup dev
	$(BIN)/deptry prodwatch
	$(BIN)/deptry tests docs bench --ignore DEP002,DEP004

pytest:
	@.ci/setup dev
	$(BIN)/pytest -n 2 -q

wheel:  ## Build the source archive and the wheel, and run the wheel in a clean environment of every Python
	@.ci/setup dev
	@.ci/wheel

test-slow:  ## Run the slow tests: fault regimes, real terminals, outside witnesses, long runs
	@.ci/setup dev
	$(BIN)/pytest -n 2 -q -m slow

format:  ## Format, and fix what ruff can fix
	@.ci/setup dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs:  ## Write the generated reference pages
	@.ci/setup dev
	$(BIN)/python docs/generate.py

site:  ## Build the documentation's site into build/site; every warning is an error
	@.ci/setup site
	NO_MKDOCS_2_WARNING=1 .venv-site/bin/mkdocs build --strict --quiet

pictures:  ## Render the README's and the docs' pictures from the demo
	@.ci/setup dev
	$(BIN)/python docs/pictures.py

bench:  ## Print every benchmark's table of ratios
	@.ci/setup dev
	@for script in bench/*.py; do case "$$script" in */_*) ;; *) $(BIN)/python "$$script" || exit 1 ;; esac; done

mutants:  ## Mutate the rooms that decide, a seeded sample of ARGS="--sample 60 --seed 42", and run the tests of each line
	@.ci/setup mutants
	@.venv-mutants/bin/python .ci/mutants $(ARGS)

lock:  ## Write the requirement files after a change of pyproject.toml; UPGRADE=1 takes the newest versions
	@.ci/lock

clean:  ## Remove the environment and everything generated
	rm -rf .venv .venv-* dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
