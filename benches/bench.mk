# Targets of the benchmark suite. The top Makefile includes this file, and says
# what LIBRARIES and BUILD are.
#   make bench         all workloads and allocators, five rounds
#   make bench-quick   a fifth of the work, three rounds: under five minutes
#   make bench-record  what recording a program costs
#   make bench-enough  how much memory three programs need; BENCH_ARGS: where to put plots
#   make bench-peers   installs the peers and the real programs (Debian)
# BENCH_ARGS is handed on, as in: make bench BENCH_ARGS="--only redis --rounds 9"

BENCH_PACKAGES := benches/packages.txt
BENCH_SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Every line of the list that dpkg does not know as installed.
BENCH_MISSING = $(shell while read -r p; do \
	dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q ' installed$$' || echo $$p; \
	done < $(BENCH_PACKAGES))

.PHONY: bench bench-quick bench-record bench-enough bench-peers

bench-peers:
	$(if $(strip $(BENCH_MISSING)),$(BENCH_SUDO) apt-get install -y --no-install-recommends $(BENCH_MISSING),@true)

# The runner is built without optimisation: it waits, and measures in C.
bench bench-quick: bench-peers $(LIBRARIES)
	$(CARGO) run -q -p memman-bench -- run --library $(BUILD) $(if $(filter bench-quick,$@),--quick) $(BENCH_ARGS)

bench-record: tools
	benches/record.sh $(BUILD)

bench-enough: tools
	benches/enough.sh $(BUILD) $(BENCH_ARGS)
