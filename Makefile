# Settings; no need to change anything below them. All can be given on the command line or in the environment.
PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
VENV    ?= $(BUILD)/venv
MPICC   ?= mpicc
OPT     ?= -O3
V       ?= 0

# Libraries: pkg-config where it knows them; else give X_CFLAGS and X_LIBS (HDF5, BLAS, JANSSON, YAML, UUID, ZLIB, ZSTD, CMOCKA).
VERSION := 0.1.0
include cluster/libraries.mk

CFLAGS  ?=
STRICT  := -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=fast -fno-math-errno -fopenmp -Wall -Wextra -Wshadow -Wconversion
ALL_CFLAGS = $(STRICT) $(OPT) -g $(CFLAGS) -I. -DBERT_VERSION='"$(VERSION)"' -MMD -MP
ifeq ($(V),0)
  SAY = @printf '%-5s %s\n'
  Q = @
else
  SAY = @:
endif

PROGRAMS   := bert-vocab bert-shard bert-inspect bert-pretrain bert-fill comm-bench
MAIN_bert-vocab := datagen/vocab_main
MAIN_bert-shard := datagen/shard_main
MAIN_bert-inspect := datagen/inspect_main
MAIN_bert-pretrain := trainer/pretrain_main
MAIN_bert-fill := trainer/fill_main
MAIN_comm-bench := comm/comm_bench_main

sources = $(filter-out %_main.c,$(wildcard $(1)/*.c $(1)/kernels/*.c))
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
OBJECTS := $(call objects,base) $(call objects,datagen) $(call objects,comm) $(call objects,trainer)
BUILT   := $(foreach p,$(PROGRAMS),$(if $(wildcard $(MAIN_$(p)).c),$(BUILD)/$(p)))
UNIT    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c tests/mpi/test_*.c tests/tools/*.c tests/bench/*.c))

.PHONY: all tests check check-cluster check-scale check-hosts simulate lint asan fuzz fuzzers bench bench-comm bench-datagen bench-step bench-tokens demo
.PHONY: deps deps-check docs install uninstall clean
all: $(BUILT)
tests: $(UNIT)

$(BUILD)/libbert.a: $(OBJECTS)
	$(SAY) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	$(SAY) CC $<
	$(Q)mkdir -p $(@D) && $(MPICC) $(ALL_CFLAGS) $(LIB_CFLAGS) -c -o $@ $<

# Rebuilds all when the flags change.
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(@D) && echo '$(MPICC) $(ALL_CFLAGS) $(LIB_CFLAGS) $(LIB_LIBS)' | cmp -s - $@ || echo '$(MPICC) $(ALL_CFLAGS) $(LIB_CFLAGS) $(LIB_LIBS)' > $@
FORCE:

.SECONDEXPANSION:
$(BUILT): $(BUILD)/%: $(BUILD)/obj/$$(MAIN_$$*).o $(BUILD)/libbert.a
	$(SAY) LINK $@
	$(Q)$(MPICC) $(ALL_CFLAGS) -o $@ $< $(BUILD)/libbert.a $(LIB_LIBS) -lm -lpthread

$(BUILD)/tests/%: tests/%.c $(BUILD)/libbert.a
	$(SAY) TEST $@
	$(Q)mkdir -p $(@D) && $(MPICC) $(ALL_CFLAGS) $(LIB_CFLAGS) $(CMOCKA_CFLAGS) -o $@ $< $(BUILD)/libbert.a $(LIB_LIBS) $(CMOCKA_LIBS) -lm -lpthread

# Installs what is missing first, as root on Debian; the second make then sees the new libraries.
check:
	@cluster/deps.sh && cluster/deps.sh check
	@$(MAKE) --no-print-directory all tests
	@$(MAKE) --no-print-directory $(FUZZ_BUILD) fuzzers
	@BUILD=$(BUILD) VENV=$(VENV) tests/run.sh lint unit mpi cli memory faults fuzz parity

lint:
	@tests/lint.sh

# The same tests under AddressSanitizer and UndefinedBehaviorSanitizer, in a build of their own.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan OPT='-O1 $(SANITIZE)' all tests
	@ASAN_OPTIONS=detect_leaks=0 MAX_NP=4 BUILD=$(BUILD)/asan VENV=$(VENV) tests/run.sh unit mpi cli faults

# The parsers under hostile input: make fuzz SECONDS=600. make check runs a short part of it, the same every time. The targets in tests/fuzz
# are those of libFuzzer, and so can be given to clang or AFL++; the driver here needs gcc alone.
SECONDS ?= 120
FUZZ_BUILD := BUILD=$(BUILD)/fuzz OPT='-O1 $(SANITIZE) -fsanitize-coverage=trace-pc'
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OBJECTS := $(filter $(BUILD)/obj/base/% $(BUILD)/obj/datagen/% $(BUILD)/obj/comm/plan.o $(BUILD)/obj/trainer/safetensors%.o $(BUILD)/obj/trainer/model%.o,$(OBJECTS)) $(BUILD)/obj/tests/fuzz/files.o
fuzzers: $(FUZZERS)
$(BUILD)/libfuzz.a: $(FUZZ_OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/driver.c $(BUILD)/libfuzz.a
	$(SAY) FUZZ $@
	$(Q)mkdir -p $(@D) && $(MPICC) $(filter-out -fsanitize-coverage%,$(ALL_CFLAGS)) $(LIB_CFLAGS) -o $@ $^ $(LIB_LIBS) -lm -lpthread
fuzz:
	@$(MAKE) --no-print-directory $(FUZZ_BUILD) fuzzers
	@FUZZ_SECONDS=$(SECONDS) BUILD=$(BUILD) tests/fuzz/fuzz.sh

# What the build and the demo need; what the tests need besides. Installed with apt as root, else named.
deps:
	@cluster/deps.sh
deps-check:
	@cluster/deps.sh check

# Text to a trained model in ten minutes; other text: make demo TEXT=FILE.
demo:
	@MAKE='$(MAKE)' BUILD='$(BUILD)' TEXT='$(TEXT)' cluster/demo.sh

# The batch job under a real Slurm of two nodes on this machine.
check-cluster: all
	@BUILD=$(BUILD) VENV=$(VENV) tests/run.sh cluster

# More ranks than cores: one hash on 1, 16 and 64 ranks. Several hosts, in network namespaces: the same, and a rank or a link that is lost.
check-scale check-hosts: all
	@BUILD=$(BUILD) VENV=$(VENV) tests/run.sh $(@:check-%=%)

# The same exchange under SimGrid, up to 1,024 ranks: build/simulate.txt and .svg. SHORT=yes: up to 256, in a minute or two.
SMPICC ?= smpicc
SMPICXX ?= smpicxx
SHORT ?=
SIMULATED := $(wildcard comm/simulate/*.c) $(filter-out comm/floats.c %_main.c,$(wildcard comm/*.c)) $(wildcard base/*.c)
SIMULATED_OBJECTS := $(patsubst %.c,$(BUILD)/obj/simulate/%.o,$(SIMULATED)) $(BUILD)/obj/simulate/comm/simulate/copies.o
SIMULATE_CFLAGS := -D_POSIX_C_SOURCE=200809L -O2 -g -I. -include comm/simulate/simulate.h -DBERT_VERSION='"$(VERSION)"' -MMD -MP
simulate: all $(BUILD)/obj/simulate/exchange
	@BUILD=$(BUILD) SHORT=$(SHORT) python3 tests/bench/simulate.py

$(BUILD)/obj/simulate/exchange: $(SIMULATED_OBJECTS)
	$(SAY) LINK $@
	$(Q)$(SMPICXX) -o $@ $^ $(JANSSON_LIBS) $(YAML_LIBS) -lm

$(BUILD)/obj/simulate/%.o: %.c $(BUILD)/flags
	$(SAY) SMPI $<
	$(Q)mkdir -p $(@D) && $(SMPICC) -std=c11 $(SIMULATE_CFLAGS) $(JANSSON_CFLAGS) $(YAML_CFLAGS) -c -o $@ $<

$(BUILD)/obj/simulate/%.o: %.cpp $(BUILD)/flags
	$(SAY) SMPI $<
	$(Q)mkdir -p $(@D) && $(SMPICXX) $(SIMULATE_CFLAGS) -c -o $@ $<

# The exchange on this machine against MPI's own, and inside real steps of model base; wants an idle machine. Other text: DATA=SHARDS.
DATA ?=
bench-comm: all $(BUILD)/tests/tools/exposed
	@BUILD=$(BUILD) python3 tests/bench/comm.py $(if $(DATA),--data $(DATA))

# Checkpoints against the newest transformers, in an environment of its own.
check-newest: all tests
	@BUILD=$(BUILD) tests/parity-newest/run.sh $(BUILD)/venv-newest

# Programs with man pages and completion; configurations and the batch job under share/bert-pretrain.
SHARE := share/bert-pretrain
INSTALL_TO = $(DESTDIR)$(PREFIX)
install: all
	@for p in $(notdir $(BUILT)); do \
	   install -D -m 755 $(BUILD)/$$p '$(INSTALL_TO)'/bin/$$p && \
	   for d in man:share/man/man1/$$p.1 bash:share/bash-completion/completions/$$p; do \
	      $(BUILD)/$$p --print-docs $${d%%:*} > $(BUILD)/document && install -D -m 644 $(BUILD)/document '$(INSTALL_TO)'/$${d#*:} || exit 1; done; done
	@for f in configs/*.yaml configs/models/*.json cluster/pretrain.sbatch; do \
	   install -D -m 644 $$f '$(INSTALL_TO)/$(SHARE)'/$$f || exit 1; done
	@echo 'installed in $(INSTALL_TO)'

uninstall:
	rm -f $(foreach p,$(PROGRAMS),'$(INSTALL_TO)/bin/$(p)' '$(INSTALL_TO)/share/man/man1/$(p).1' \
	   '$(INSTALL_TO)/share/bash-completion/completions/$(p)')
	rm -rf '$(INSTALL_TO)/$(SHARE)'

# Every option of every program, from the tables that also parse them.
docs: all
	@{ echo '# Options'; echo; echo 'Made by `make docs` from the option tables.'; \
	   for p in $(notdir $(BUILT)); do echo; $(BUILD)/$$p --print-docs markdown; done; } > docs/options.md

# Long runs against peers and on large text; see tests/bench/README.md.
bench: all
	@sed -n '1,40p' tests/bench/README.md

# bert-shard and its tokenizer beside Hugging Face's: ratios, and peak memory. BENCH_OPTIONS='--pairs 1 --part tokenize' for less.
BENCH_DATA ?= ../shared/data
BENCH_PEER ?= ../shared/peers/peer_shard.py
bench-datagen: all $(BUILD)/tests/tools/tokenize_speed
	@tests/venv.sh '$(VENV)' && BUILD='$(BUILD)' '$(VENV)'/bin/python tests/bench/datagen.py --data '$(BENCH_DATA)' --peer '$(BENCH_PEER)' $(BENCH_OPTIONS)

# Ids against Hugging Face's on every line of every text and vocabulary below DATA (default: tests/bench/tokens_equal.py tells).
bench-tokens: all tests
	@BUILD=$(BUILD) $(VENV)/bin/python tests/bench/tokens_equal.py $(DATA)

# The training step against this machine's peak and against a PyTorch script; its settings are in tests/bench/bench_step.py.
bench-step: all $(BUILD)/tests/bench/bench_step
	@BUILD=$(BUILD) PYTHON=$(VENV)/bin/python python3 tests/bench/bench_step.py

clean:
	rm -rf $(BUILD)

-include $(OBJECTS:.o=.d) $(SIMULATED_OBJECTS:.o=.d) $(patsubst %,$(BUILD)/obj/%.d,$(foreach p,$(PROGRAMS),$(MAIN_$(p)))) $(addsuffix .d,$(UNIT))
