.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAMPLE := README.md
MINUTES := 5
C_FILES := $(wildcard vaezip/kernel/*.c vaezip/training/*.c) tests/arch/harness.c
C_HEADERS := $(wildcard vaezip/kernel/*.h vaezip/training/*.h)
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Werror
TRAINING = --minutes $(MINUTES) --rescript 0.04 --weight english_prose=2
model large: MINUTES := 360

.PHONY: help demo test coverage check lint format docs sanitize fuzz arch oldest package bench stages large model clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

$(VENV)/run: pyproject.toml setup.py $(wildcard vaezip/kernel/*.[ch] vaezip/training/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev: $(VENV)/run
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --group dev
	@touch $@

$(VENV)/docs: $(VENV)/run
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --group docs
	@touch $@

demo: $(VENV)/run  ## Install, compress a real file, decompress it, compare sizes with gzip and xz
	@rm -rf demo && mkdir demo && cp $(SAMPLE) demo/text
	$(BIN)/vaezip compress -v demo/text
	$(BIN)/vaezip decompress demo/text.vz -o demo/back
	cmp demo/text demo/back
	@gzip -9 -k demo/text
	@$(PYTHON) -c "import lzma; open('demo/text.xz', 'wb').write(lzma.compress(open('demo/text', 'rb').read(), preset=9 | lzma.PRESET_EXTREME))"
	@echo "The text came back unchanged. Bytes:"
	@wc -c demo/text demo/text.gz demo/text.xz demo/text.vz | sed '$$d'
	@rm -rf demo

test: $(VENV)/dev  ## Install what the tests need (PyTorch's CPU build included) and run them all
	$(BIN)/python -m pytest -n auto

coverage: $(VENV)/dev  ## Run the tests, and list the lines of vaezip/ that none of them runs
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -n auto
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/dev  ## Check format, style and types, of Python and C
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(C_FILES) $(C_HEADERS)
	$(CC) -std=c11 -fsyntax-only $(WARNINGS) -Ivaezip/kernel -Ivaezip/training $(C_FILES)

format: $(VENV)/dev  ## Bring Python and C into their format
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES) $(C_HEADERS)

# Not with --quiet: warnings would no longer be errors.
docs: $(VENV)/docs  ## Build the documentation's site in build/site; a wrong link in it is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

check: lint test  ## Everything that must pass before a commit

sanitize: sanitize-memory sanitize-thread  ## Run the kernel's tests under gcc's address, undefined-behaviour and thread sanitizers

sanitize-memory: FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined
sanitize-memory: RUNTIME := libasan.so
sanitize-memory: TESTS := tests/test_ans.py tests/test_mixing.py tests/test_twins.py tests/test_bitsback.py tests/test_network.py \
    tests/test_model.py tests/test_tensors.py tests/test_hostile_models.py \
    --deselect tests/test_hostile_models.py::test_the_largest_files_are_refused_in_little_memory \
    tests/test_training.py::test_the_kernel_differentiates_as_torch_does \
    tests/test_training.py::test_the_kernel_takes_numbers_of_any_size
sanitize-thread: FLAGS := -fsanitize=thread
sanitize-thread: RUNTIME := libtsan.so
sanitize-thread: TESTS := tests/test_stream.py -k threads

sanitize-%: $(VENV)/dev
	@rm -rf build/$@ && mkdir -p build/$@
	@cp -r vaezip tests docs models setup.py pyproject.toml README.md LICENSE NOTICE build/$@ && rm -f build/$@/vaezip/kernel/*.so
	cd build/$@ && CFLAGS="$(FLAGS) -g" $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace
	cd build/$@ && LD_PRELOAD="$$(gcc -print-file-name=$(RUNTIME))" ASAN_OPTIONS=detect_leaks=0 \
	    $(CURDIR)/$(BIN)/python -m pytest -q -p no:cacheprovider $(TESTS)

fuzz: $(VENV)/dev  ## Look for inputs that break a reader: make fuzz MINUTES=5
	@$(BIN)/pip install --quiet atheris || true  # where there is none, Hypothesis takes its place
	$(BIN)/python fuzz/run.py --minutes $(MINUTES)

arch: $(VENV)/run  ## Cross-compile the kernel for other processors, run it under qemu, compare with what is recorded
	$(BIN)/python tests/arch/crosscheck.py

oldest: $(VENV)/dev  ## Run the tests with the oldest Python at hand and the oldest packages that are allowed
	.ci/oldest

package: $(VENV)/dev  ## Install from the source tree, an sdist and a wheel; run tests that come with the sdist
	.ci/package

bench: $(VENV)/dev  ## Compare vaezip with other compressors on a real file
	$(BIN)/vaezip bench $(SAMPLE)

stages: $(VENV)/dev  ## Speed of every stage of coding, and the network's share of what the machine can do
	$(BIN)/python benchmarks/stages.py

large: $(VENV)/dev  ## Train the large model: make large CORPUS=folder
	$(BIN)/vaezip train $(CORPUS) -o models/large.vzm --width 256 --layers 3 $(TRAINING)

model: $(VENV)/dev  ## Train the standard model, the large one being its teacher: make model CORPUS=folder
	@test ! -e models/standard.vzm || { echo "models/standard.vzm is there: move it aside" >&2; exit 1; }
	@mkdir -p build
	$(BIN)/vaezip train $(CORPUS) -o build/first.vzm --teacher models/large.vzm $(TRAINING)
	$(BIN)/vaezip train $(CORPUS) -o models/standard.vzm --init build/first.vzm --complement --teacher models/large.vzm $(TRAINING)
	rm build/first.vzm

clean:  ## Remove the virtual environment and what tools have cached
	rm -rf $(VENV) build dist demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
