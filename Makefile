# Dynoscale's agents: one C core (core/). All that is made goes to build/.

CFLAGS ?= -O2 -g
SUBMAKE = $(MAKE) --no-print-directory

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help clean test-core asan tsan coverage

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

clean: ## remove what was made
	rm -rf build

# ---- The core and its tests, in C -------------------------------------------------------------
# Compiled once for each compiler and variant, into a folder of its own: the tests with all of the
# core but its clock and its HTTP, in whose place they bring their own.

VARIANT  :=
FLAGS_asan     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan     := -fsanitize=thread
FLAGS_coverage := --coverage -O0
FLAGS_fuzz     := $(FLAGS_asan) -fsanitize=fuzzer-no-link

OUT      := build/$(notdir $(firstword $(CC)))$(VARIANT:%=-%)
COMPILE   = $(CC) -std=c11 -Wall -Wextra -Wconversion -Werror -MMD $(CFLAGS) $(FLAGS_$(VARIANT)) \
            -Icore/include -Icore/src -Itests/core/support -DVECTORS='"tests/vectors"' $(CPPFLAGS)
LINK      = $(CC) $(CFLAGS) $(FLAGS_$(VARIANT)) $(LDFLAGS)
LIBS     := -lpthread -ldl
# Calls of the core that tests/core/support/faults.c can make fail.
FAULTS   := malloc calloc realloc strdup mmap pthread_create pthread_atfork
comma    := ,

CORE     := $(filter-out core/src/clock.c,$(wildcard core/src/*.c))
SUPPORT  := $(wildcard tests/core/support/*.c)
TESTS    := $(wildcard tests/core/test_*.c)
PROGRAMS := $(TESTS:%.c=$(OUT)/%)

test-core: $(PROGRAMS) ## the core's suite
	@failed=0; for program in $(PROGRAMS); do \
	    echo "# $$program"; $$program || failed=1; \
	done; exit $$failed

$(PROGRAMS): %: %.o $(CORE:%.c=$(OUT)/%.o) $(SUPPORT:%.c=$(OUT)/%.o)
	$(LINK) $(FAULTS:%=-Wl$(comma)--wrap=%) -o $@ $^ -lcmocka $(LIBS)

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

.SECONDARY:
-include $(wildcard $(OUT)/*/*.d $(OUT)/*/*/*.d $(OUT)/*/*/*/*.d)

asan: ## the core's suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(SUBMAKE) test-core VARIANT=asan

tsan: ## the core's suite under ThreadSanitizer
	@$(SUBMAKE) test-core VARIANT=tsan

coverage: ## which lines of core/src the core's suite reaches
	@find build -name '*.gcda' -delete 2>/dev/null || true
	@$(SUBMAKE) test-core VARIANT=coverage
	@gcovr --root . --filter core/src --txt
