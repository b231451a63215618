# Dynoscale: the agents, a Ruby gem (ext/ruby, ruby/lib) and a Python package (ext/python,
# python/dynoscale) on one C core (core/), and the service (service/) that they report to. All that
# is made goes to build/, but for the two extensions, which `make build` puts where Ruby and Python
# look for them.

# Whole paths on Debian: other interpreters may come first on the PATH.
DEBIAN := $(wildcard /etc/debian_version)
RUBY   ?= $(if $(DEBIAN),/usr/bin/ruby,ruby)
PYTHON ?= $(if $(DEBIAN),/usr/bin/python3,python3)
CFLAGS ?= -O2 -g
export RUBY PYTHON

RAKE    = $(RUBY) -rrake -e 'Rake.application.run(ARGV)' --
PYTEST_COMMAND = env PYTHONPATH=python $(PYTHON) -m pytest -p no:cacheprovider -q -rs
PYTEST  = $(PYTEST_COMMAND)
# For suites of many real processes: what failed is tried once more, told in full, and counted.
ONCE_MORE = --reruns 1
SUBMAKE = $(MAKE) --no-print-directory
# For what looks at its own processes, as LeakSanitizer does: in a chroot /proc may be another
# system's.
OWN_PROC = $(PYTHON) tests/support/namespaces.py env

# $(call both,ONE,OTHER): two commands at once, the first one's output behind that of the other.
# Fails if one fails.
both = log=$$(mktemp) && { $(1) >$$log 2>&1 & one=$$!; }; trap 'kill $$one' INT TERM; \
       $(2); other=$$?; wait $$one; one=$$?; cat $$log; rm -f $$log; [ $$one = 0 ] && [ $$other = 0 ]

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help deps build build-ruby build-python demo package clean test test-core test-ruby \
        test-python test-jobs test-jobs-ruby test-jobs-python test-jobs-ruby-smoke test-jobs-python-smoke \
        test-servers test-frameworks test-faults build-service test-service test-service-asan \
        test-service-http test-service-postgresql test-machines test-memory \
        soak-service soak-overload tsan-service coverage-service run-covered-http test-kills test-faults-service test-loop \
        test-published test-heroku-clients test-kubernetes-clients \
        test-web web-tests-ready screenshots lighthouse bench-web \
        soak asan-ruby asan-python test-bench test-asan asan tsan \
        coverage fuzz run-fuzzers model test-buffer run-buffer test-fuzz run-briefly \
        valgrind run-valgrind valgrind-service bench bench-service bench-machines bench-policy bench-policy-jobs bench-trials \
        accept-instructions format lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  PYTHON=$(PYTHON) RUBY=$(RUBY) CC=$(CC): say others to use others."
	@echo "  DEPS=skip: install nothing."

# ---- What it needs, what it makes -------------------------------------------------------------

# $(call install,GROUP...): what is missing of the groups.
install = @$(if $(filter skip,$(DEPS)),true,tests/support/deps $(1))

deps: ## install what the other targets need, with apt-get
	$(call install,test jobs frameworks bench tools service)

build: ## build both extensions in place, and build/dynoscaled
	$(call install,build service)
	@$(SUBMAKE) build-ruby build-python build-service

build-ruby:
	$(RAKE) compile

build-python:
	$(PYTHON) -W ignore setup.py --quiet build_ext --inplace

demo: ## watch real apps being scaled, in the terminal (90 s); KEEP=1: go on until Ctrl-C
	$(call install,demo)
	@mkdir -p build; echo "Building the agents and the service; what that says is in build/demo.log"
	@$(SUBMAKE) build >build/demo.log 2>&1 || { cat build/demo.log; exit 1; }
	@$(OWN_PROC) PYTHONPATH=python $(PYTHON) examples/demo/demo.py $(if $(KEEP),--keep)

package: ## build the gem, the sdist and the wheel into build/packages
	$(call install,package)
	$(RAKE) package
	$(PYTHON) -W ignore -m build --no-isolation --outdir build/packages

.PHONY: deb test-deb sbom

# DEB_REVISION=2: a later package of the same version.
deb: ## build the service's Debian package, for the release that this is, into build/packages
	$(call install,service deb)
	@$(SUBMAKE) build/cc-deb/dynoscaled CC=cc VARIANT=deb
	@service/dist/deb/build build/cc-deb/dynoscaled \
	    $$(sed -n 's/^#define DYNOSCALE_VERSION "\(.*\)"/\1/p' core/include/dynoscale.h) build/packages

sbom: build-service ## what the service is made of, as CycloneDX, into build/packages/dynoscaled.cdx.json
	@mkdir -p build/packages
	@service/dist/bill.py build/dynoscaled \
	    $$(sed -n 's/^#define DYNOSCALE_VERSION "\(.*\)"/\1/p' core/include/dynoscale.h) >build/packages/dynoscaled.cdx.json
	@echo build/packages/dynoscaled.cdx.json

test-deb: build-service ## that package in a new Debian: RELEASES="bookworm trixie"
	$(call install,test matrix)
	$(PYTEST) tests/deb

.PHONY: wheels gems release-check

# PYTHONS=3.13 ONLY=x86_64-linux: some of them.
wheels: ## every wheel into build/packages: CPython 3.9 to 3.15, Linux and macOS, two processors
	$(call install,package)
	@$(PYTHON) release/wheels.py $(PYTHONS:%=--python %) $(ONLY:%=--only %)

gems: ## the precompiled gems into build/packages
	$(call install,package)
	@$(PYTHON) release/gems.py

release-check: ## what this checkout lacks to be released; PACKAGES=skip: but for building them
	$(if $(PACKAGES),,$(call install,package))
	@$(PYTHON) release/check.py $(if $(PACKAGES),--without-packages)

clean: ## remove what was made
	rm -rf build ruby/lib/dynoscale_ruby/*.so ruby/lib/dynoscale_ruby/*.bundle \
	    python/dynoscale/*.so python/*.egg-info

# ---- Tests ------------------------------------------------------------------------------------

test: ## run every suite; ends with the counts
	$(call install,test)
	@$(PYTHON) tests/support/suites.py --counts build/counts core=cmocka asan=cmocka fuzz=cmocka \
	    jobs-ruby-smoke=minitest jobs-python-smoke=pytest \
	    ruby=minitest python=pytest servers=pytest faults=pytest bench=pytest \
	    service=cmocka service-asan=cmocka service-http=pytest loop=pytest web=node -- $(SUBMAKE)

test-ruby: build-ruby ## the gem's suite
	$(RAKE) test TESTOPTS=--verbose

test-python: build-python ## the package's suite
	$(PYTEST) tests/python

test-jobs: ## job queues, on real Redis, RabbitMQ and PostgreSQL servers
	$(call install,jobs)
	@$(PYTHON) tests/support/suites.py jobs-ruby=minitest jobs-python=pytest -- $(SUBMAKE)

test-jobs-ruby: build-ruby ## the gem's readings of Sidekiq, Resque, Delayed Job, GoodJob ...
	@$(OWN_PROC) $(RUBY) -w -Itests/jobs/ruby -e 'Dir["./tests/jobs/ruby/*_test.rb"].sort.each { |f| require f }' \
	    -- --verbose

# Of both, what `make test` has the time and the packages for: nothing from a registry. (Minitest's
# --exclude is taken by Rails for its own --environment.)
RUBY_SMOKE   := oldest_job|is_due|worker_starts|forked_workers|by_tls|any_traffic|it_dies|woken
PYTHON_SMOKE := test_rq and not sentinel and not cluster or settings_of_its_own or without_traffic or dies or woken

test-jobs-ruby-smoke: build-ruby
	@$(OWN_PROC) $(RUBY) -w -Itests/jobs/ruby -e '%w[sidekiq lifecycle].each { |f| require "./tests/jobs/ruby/#{f}_test" }' \
	    -- --verbose -n '/\A(?!\w*Newest)\w+\#\w*($(RUBY_SMOKE))/'

test-jobs-python-smoke: build-python
	@$(OWN_PROC) $(PYTEST) tests/jobs/python/test_rq.py tests/jobs/python/test_processes.py -k '$(PYTHON_SMOKE)'

test-jobs-python: build-python ## the package's readings of RQ, Celery, Django-Q ...
	@$(OWN_PROC) $(PYTEST) tests/jobs/python

# Each set of packages in an environment of its own; DEPS=skip does not keep pip from the registry.
JOBS_NEWEST := build/jobs-newest
.PHONY: test-jobs-newest
test-jobs-newest: ## the same with the newest Dramatiq, Huey, arq, Celery, RQ, Django-Q from PyPI
	$(call install,jobs)
	@$(PYTHON) tests/support/suites.py jobs-newest-all=pytest jobs-newest-arq=pytest -- $(SUBMAKE)

test-jobs-newest-%: $(JOBS_NEWEST)/%/.installed build-python
	@PYTHONPATH=python $(OWN_PROC) $(<D)/bin/python -m pytest -p no:cacheprovider -q -rs tests/jobs/python

$(JOBS_NEWEST)/%/.installed: tests/jobs/python/newest-%.txt
	@rm -rf $(@D); $(PYTHON) -m venv $(@D) && \
	    $(@D)/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

test-servers: build ## both, in real app servers behind a real nginx
	@$(OWN_PROC) $(PYTEST) $(ONCE_MORE) tests/servers -m 'not frameworks'

test-frameworks: ## both, in more app servers and frameworks than `make test` has
	$(call install,frameworks)
	@$(SUBMAKE) build
	$(PYTEST) tests/servers -m frameworks

# SLOW=1: 10,000 forks and a service that is down for minutes, too.
test-faults: build ## both, whatever the service, the process and the client do
	@$(OWN_PROC) $(PYTEST) $(ONCE_MORE) tests/faults $(if $(SLOW),--slow)

SOAK_SECONDS ?= 3600
soak: build ## both under load for SOAK_SECONDS=3600, with a service that fails at random
	@$(PYTHON) tests/faults/soak.py --seconds $(SOAK_SECONDS)

# ---- The core and its tests, in C -------------------------------------------------------------
# Compiled once for each compiler and variant, into a folder of its own. The tests bring a clock of
# their own, so that hours pass in no time.

VARIANT        :=
FLAGS_asan     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan     := -fsanitize=thread
FLAGS_coverage := --coverage -fprofile-update=atomic -O0 -DCOVERAGE
# As Debian builds what listens on a network.
FLAGS_deb      := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
                  -Wl,-z,relro,-z,now
FLAGS_fuzz     := $(FLAGS_asan) -fsanitize=fuzzer-no-link -DFUZZING

OUT     := build/$(notdir $(firstword $(CC)))$(VARIANT:%=-%)
COMPILE  = $(CC) -std=c11 -Wall -Wextra -Wconversion -Werror -MMD -MP $(CFLAGS) $(FLAGS_$(VARIANT)) \
           -Icore/include -Icore/src -Itests/core/support -DVECTORS='"tests/vectors"' $(CPPFLAGS)
LINK     = $(CC) $(CFLAGS) $(FLAGS_$(VARIANT)) $(LDFLAGS)
LIBS    := -lpthread -ldl
# What the service needs, and what the harnesses of tests/fuzz compare both with.
SERVICE_PACKAGES := libevent libevent_pthreads sqlite3 jansson yaml-0.1 libsodium libzstd zlib \
                    glib-2.0 libcurl liboath libqrencode
FUZZ_LIBS := $(shell pkg-config --libs $(SERVICE_PACKAGES) 2>/dev/null) -ljansson -lcurl -lm
# Calls of the core that tests/core/support/faults.c can make fail.
FAULTS  := malloc calloc realloc strdup mmap pthread_create pthread_atfork getentropy dlopen dlsym
comma   := ,

objects  = $(patsubst %.c,$(OUT)/%.o,$(wildcard $(1)))
programs = $(patsubst %.c,$(OUT)/%,$(wildcard $(1)))
CORE    := $(call objects,core/src/*.c)
SUPPORT := $(call objects,tests/core/support/*.c)
TESTS   := $(call programs,tests/core/test_*.c)
FUZZERS := $(call programs,tests/fuzz/fuzz_*.c)
BRIEFLY := $(call programs,tests/fuzz/briefly.c)
LIFE    := $(call programs,tests/valgrind/life.c)
BENCHES := $(call programs,bench/native/*.c)
COUNTED := $(call programs,bench/instructions/*.c)

test-core: $(TESTS) ## the core's suite
	@failed=0; for program in $^; do echo "# $$program"; $$program || failed=1; done; exit $$failed

$(TESTS): %: %.o $(filter-out %/clock.o,$(CORE)) $(SUPPORT)
	@$(LINK) $(FAULTS:%=-Wl$(comma)--wrap=%) -o $@ $^ -lcmocka $(LIBS)

$(OUT)/tests/core/test_fuzz_failures: LIBS += $(FUZZ_LIBS)
$(OUT)/tests/core/test_fuzz_failures: $(FUZZERS:%=%.o)

$(FUZZERS): %: %.o $(CORE)
	@$(LINK) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS) $(LIBS)

$(BRIEFLY): %: %.o $(FUZZERS:%=%.o) $(CORE)
	@$(LINK) -o $@ $^ -lcmocka $(FUZZ_LIBS) $(LIBS)

$(BENCHES) $(LIFE): %: %.o $(CORE)
	@$(LINK) -o $@ $^ $(LIBS)

$(COUNTED): %: %.o $(filter-out %/clock.o,$(CORE))
	@$(LINK) -o $@ $^ $(LIBS)

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(@D); echo "$(CC) -o $@"
	@$(COMPILE) -c -o $@ $<

.SECONDARY:
-include $(patsubst %.o,%.d,$(CORE) $(SUPPORT)) $(patsubst %,%.d,$(TESTS) $(FUZZERS) $(BRIEFLY) $(LIFE) \
    $(BENCHES) $(COUNTED))

# ---- The service and its tests ------------------------------------------------------------------
# All of service/src but main.c is an archive, from which each test of tests/service takes what it
# needs (but a false clock and what else it brings itself); main.c and the same make
# build/dynoscaled. What it takes from core/ it takes from where it stands.

SERVICE_FROM_CORE := clock random url headers events transport_curl options queue_time report \
                     texts leader fork platform
SERVICE_OBJECTS := $(filter-out $(OUT)/service/src/main.o,\
                     $(call objects,service/src/*.c service/src/*/*.c service/src/*/*/*.c)) \
                   $(SERVICE_FROM_CORE:%=$(OUT)/core/src/%.o) $(OUT)/service/schema/sqlite.o \
                   $(OUT)/service/schema/postgresql.o $(OUT)/service/openapi.o $(OUT)/service/pages.o
SERVICE_LIBRARY := $(OUT)/service/service.a
# test_memory brings an allocator of its own, which a sanitizer does too.
SERVICE_TESTS   := $(filter-out $(if $(filter asan tsan,$(VARIANT)),%/test_memory),\
                     $(call programs,tests/service/test_*.c))
SERVICE_BENCHES := $(call programs,bench/service/*.c)
POLICY          := $(OUT)/bench/policy/simulate
POLICY_JOBS     := $(OUT)/bench/policy/jobs/simulate
SERVICE_SUPPORT := $(call objects,tests/service/support/*.c)
WEB_PAST        := $(OUT)/tests/web/support/past
# Of the core's suite: the false clock, and the reader of tests/vectors.
CORE_SUPPORT := $(OUT)/tests/core/support/false_clock.o $(OUT)/tests/core/support/vectors.o
SERVICE_LIBS    = $(shell pkg-config --libs $(SERVICE_PACKAGES)) -lm $(LIBS)
# As system headers, whose own warnings are not ours.
SERVICE_FLAGS   = -Iservice/src $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(SERVICE_PACKAGES)))

$(OUT)/service/% $(OUT)/tests/service/% $(OUT)/tests/fuzz/% $(OUT)/bench/service/% $(OUT)/bench/policy/% \
    $(OUT)/tests/web/%: \
    CPPFLAGS += $(SERVICE_FLAGS)

# A fused multiply-add would round otherwise than a machine without it: decide/automatic/number.h.
$(OUT)/service/src/decide/%: CPPFLAGS += -ffp-contract=off

# The steps of a store's schema, as C. Those of PostgreSQL are SQLite's, translated, but for files
# of its own.
SCHEMA := service/schema
SCHEMAS := $(OUT)/service/schema/sqlite $(OUT)/service/schema/postgresql
$(SCHEMAS:%=%.c): $(OUT)/service/schema/%.c: $(wildcard $(SCHEMA)/*/*.sql) $(SCHEMA)/embed
	@mkdir -p $(@D); $(SCHEMA)/embed $* $(SCHEMA)/$* $(filter-out $(SCHEMA)/$*,$(SCHEMA)/sqlite) >$@.new && mv $@.new $@

$(SCHEMAS:%=%.o): %.o: %.c
	@$(COMPILE) -c -o $@ $<

# The API's description, as C.
$(OUT)/service/openapi.c: service/src/api/openapi.yaml
	@mkdir -p $(@D); { echo 'const char api_description[] ='; \
	    sed 's/\\/\\\\/g; s/"/\\"/g; s/^/    "/; s/$$/\\n"/' $<; echo '    ;'; } >$@

$(OUT)/service/openapi.o: $(OUT)/service/openapi.c
	@$(COMPILE) -c -o $@ $<

build-service: build/dynoscaled

# npm by a lock file with hashes. Debian's node trusts a list of its own and not the system's, which
# an administrator may have added to.
CERTIFICATES := $(or $(NODE_EXTRA_CA_CERTS),$(wildcard /etc/ssl/certs/ca-certificates.crt))
NPM_CI := $(if $(CERTIFICATES),NODE_EXTRA_CA_CERTS=$(CERTIFICATES)) \
          npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=0

# What the pages take from npm.
WEB     := service/web
MODULES := build/web/node_modules
$(MODULES)/.installed: $(WEB)/package.json $(WEB)/package-lock.json
	@mkdir -p build/web && cp $^ build/web
	@if ! command -v npm >/dev/null; then \
	    echo 'The pages get no charts: install npm (apt-get install npm), remove build/web, and build again' >&2; \
	elif ! (cd build/web && $(NPM_CI) >npm.log 2>&1); then \
	    echo 'The pages get no charts: npm failed (build/web/npm.log); remove build/web to try again' >&2; \
	fi; mkdir -p $(@D) && touch $@

build/web/pages.c: $(MODULES)/.installed $(wildcard $(WEB)/*.*)
	@$(PYTHON) $(WEB)/embed.py $(MODULES) $@

$(OUT)/service/pages.o: build/web/pages.c
	@mkdir -p $(@D); echo "$(CC) -o $@"
	@$(COMPILE) -c -o $@ $<

build/dynoscaled: $(OUT)/dynoscaled
	@cp $< $@.new && mv $@.new $@

$(OUT)/dynoscaled: $(OUT)/service/src/main.o $(SERVICE_LIBRARY)
	@$(LINK) -o $@ $^ $(SERVICE_LIBS)

$(SERVICE_LIBRARY): $(SERVICE_OBJECTS)
	@rm -f $@; $(AR) rcs $@ $^

# A version to upgrade to, for tests: this one, and a step of the schema more.
NEWER := $(OUT)/tests/machines/newer
$(NEWER)-%.c: $(wildcard $(SCHEMA)/*/*.sql tests/machines/newer/*.sql) $(SCHEMA)/embed
	@mkdir -p $(@D); $(SCHEMA)/embed $* $(SCHEMA)/$* $(filter-out $(SCHEMA)/$*,$(SCHEMA)/sqlite) tests/machines/newer \
	    >$@.new && mv $@.new $@

$(NEWER)-%.o: $(NEWER)-%.c
	@$(COMPILE) -Iservice/src -c -o $@ $<

$(NEWER): $(OUT)/service/src/main.o $(NEWER)-sqlite.o $(NEWER)-postgresql.o $(SERVICE_LIBRARY)
	@$(LINK) -o $@ $^ $(SERVICE_LIBS)

# The harnesses read the service's parts too.
$(FUZZERS) $(BRIEFLY) $(OUT)/tests/core/test_fuzz_failures: $(SERVICE_LIBRARY)

$(SERVICE_TESTS): %: %.o $(SERVICE_SUPPORT) $(CORE_SUPPORT) $(SERVICE_LIBRARY)
	@$(LINK) -o $@ $^ -lcmocka $(SERVICE_LIBS)

# Its own malloc stands before the C library's.
$(OUT)/tests/service/test_memory: $(OUT)/tests/service/heap.o

# It puts in what happens before a transaction.
$(OUT)/tests/service/test_api: LDFLAGS += -Wl,--wrap=store_begin

$(SERVICE_BENCHES): %: %.o $(SERVICE_LIBRARY)
	@$(LINK) -o $@ $^ $(SERVICE_LIBS)

# The simulator takes of the service what decides, and nothing that needs a library.
POLICY_OBJECTS := $(call objects,bench/policy/*.c bench/policy/peers/*.c) \
                  $(call objects,service/src/decide/*.c service/src/decide/*/*.c) \
                  $(OUT)/service/src/rules/rule.o $(OUT)/service/src/text.o \
                  $(OUT)/service/src/ingest/seconds.o $(OUT)/service/src/replay/history.o

$(POLICY): $(POLICY_OBJECTS)
	@$(LINK) -o $@ $^ -lm

# The same for job queues.
POLICY_JOBS_OBJECTS := $(call objects,bench/policy/jobs/*.c bench/policy/jobs/peers/*.c) \
                       $(call objects,service/src/decide/*.c service/src/decide/*/*.c) \
                       $(addprefix $(OUT)/bench/policy/,options.o random.o service_time.o \
                           traffic.o traffic_make.o) \
                       $(OUT)/service/src/rules/rule.o $(OUT)/service/src/text.o \
                       $(OUT)/service/src/ingest/jobs.o

$(POLICY_JOBS): $(POLICY_JOBS_OBJECTS)
	@$(LINK) -o $@ $^ -lm

# Trials of rules, on what it stored.
TRIALS         := $(OUT)/bench/policy/trials/try_rules
TRIALS_OBJECTS := $(call objects,bench/policy/trials/*.c service/src/replay/*.c) \
                  $(filter-out $(OUT)/bench/%,$(POLICY_OBJECTS)) $(OUT)/service/src/rules/week.o \
                  $(OUT)/service/src/rules/zone.o $(OUT)/service/src/ingest/jobs.o
TRIALS_JOBS         := $(OUT)/bench/policy/jobs/trials/try_jobs
TRIALS_JOBS_OBJECTS := $(OUT)/bench/policy/jobs/trials/try_jobs.o $(OUT)/bench/policy/options.o \
                       $(filter-out $(OUT)/bench/%,$(TRIALS_OBJECTS))
$(TRIALS_JOBS): $(TRIALS_JOBS_OBJECTS)
	@$(LINK) -o $@ $^ $(shell pkg-config --libs glib-2.0) -lm

$(TRIALS): $(TRIALS_OBJECTS)
	@$(LINK) -o $@ $^ $(shell pkg-config --libs glib-2.0) -lm

test-service: $(SERVICE_TESTS) ## the service's suite in C
	@failed=0; for program in $^; do echo "# $$program"; $(OWN_PROC) $$program || failed=1; done; exit $$failed

# In memory where that is a folder: half of the time is the disk's.
test-memory: $(OUT)/tests/service/test_memory ## each allocation of the service made to fail in turn; a quarter of an hour
	@ROUNDS=0 TMPDIR=$(or $(wildcard /dev/shm),/tmp) $(OWN_PROC) $<

test-service-asan: ## the same under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(SUBMAKE) test-service VARIANT=asan

tsan-service: ## the same under ThreadSanitizer
	@$(SUBMAKE) test-service VARIANT=tsan

# What everybody may send, and what decides, is held to 95 % of its lines.
HELD := ingest/rows.c ingest/report.c series/sketch.c rules/rule*.c rules/week.c decide/*.c \
        api/input.c http/frame.c
coverage-service: ## the lines of service/src that its suite in C reaches; HTTP=1: and that over HTTP
	$(call install,tools)
	@find build -name '*.gcda' -delete 2>/dev/null || true
	@$(SUBMAKE) test-service VARIANT=coverage
	@$(if $(HTTP),$(SUBMAKE) run-covered-http VARIANT=coverage)
	@gcovr --root . --filter service/src --gcov-ignore-parse-errors --json-summary - | \
	    $(PYTHON) tests/support/coverage.py 95 $(HELD:%='service/src/%')

run-covered-http: $(OUT)/dynoscaled $(WEB_PAST)
	TEST_DYNOSCALED=$(abspath $<) TEST_OBJECTS=$(abspath $(OUT)) $(PYTEST) tests/service --deselect tests/service/test_walls.py

soak-service: build-service ## the service for MINUTES=60: 200 apps, a platform that fails, people, restarts
	@$(PYTHON) tests/service/soak/soak.py --minutes $(or $(MINUTES),60) $(APPS:%=--apps %)

soak-overload: build-service ## ten times the reports that the service can take, for SECONDS=120, beside usual apps
	@$(PYTHON) tests/service/soak/overload.py --seconds $(or $(SECONDS),120)

# Minutes: SECONDS_OF_KILLS=600 for ten of kills alone.
test-machines: build-service $(NEWER) ## several services on one PostgreSQL: kills, failover, pgbouncer, stops, clocks
	$(call install,test machines)
	@TEST_NEWER=$(abspath $(NEWER)) $(PYTEST) -s tests/machines $(if $(ONLY),-k '$(ONLY)')

# The tests of Heroku wait for many ticks: they run beside all the others.
SERVICE_HTTP = $(OWN_PROC) $(PYTEST) $(ONCE_MORE)
test-service-http: build-service $(SERVICE_TESTS) $(WEB_PAST) ## the service over HTTP and by its command line
	@export TEST_OBJECTS=$(abspath $(OUT)); \
	$(call both,( $(call both,$(SERVICE_HTTP) tests/service/test_heroku.py,$(SERVICE_HTTP) tests/service/test_heroku_access.py) ),\
	    $(SERVICE_HTTP) tests/service --ignore tests/service/test_heroku.py --ignore tests/service/test_heroku_access.py)

# The whole of both, but for what is about files alone, in a cluster of its own.
test-service-postgresql: build-service $(SERVICE_TESTS) $(WEB_PAST) ## the suites of the service with its data in PostgreSQL
	@$(PYTHON) tests/support/postgresql.py sh -c 'for suite in $(SERVICE_TESTS); do $$suite || exit 1; done'
	@TEST_OBJECTS=$(abspath $(OUT)) $(PYTHON) tests/support/postgresql.py $(PYTEST_COMMAND) tests/service

KILLS ?= 1000
test-kills: build-service ## the service killed KILLS=1000 times under load: every report there once
	KILLS=$(KILLS) $(PYTEST) tests/service/test_report_kills.py

.PHONY: test-connections
CONNECTIONS ?= 20000
test-connections: build-service ## CONNECTIONS=20000 to one service at once
	CONNECTIONS=$(CONNECTIONS) $(PYTEST) -s tests/service/many_connections.py

# SCHEMA_SECONDS for each of three who call.
.PHONY: test-schema
SCHEMA_SECONDS ?= 300
SCHEMATHESIS := build/schemathesis/bin/schemathesis
test-schema: build-service $(SCHEMATHESIS) ## schemathesis (from PyPI) over openapi.yaml and a real service
	SCHEMATHESIS=$(abspath $(SCHEMATHESIS)) SCHEMA_SECONDS=$(SCHEMA_SECONDS) $(PYTEST) tests/service/schema_scan.py

$(SCHEMATHESIS):
	@$(PYTHON) -m venv build/schemathesis && \
	    build/schemathesis/bin/pip install --quiet --disable-pip-version-check schemathesis==4.32.5

# Minutes: testssl.sh asks for every cipher there is.
.PHONY: scan-tls
scan-tls: build-service ## what testssl.sh finds at nginx and HAProxy as they are shipped
	$(call install,test scan)
	$(PYTEST) -s tests/service/tls_scan.py

# What breaks the files and the memory of a service, loaded into it.
FAULTY_FILES := $(OUT)/tests/service_faults/files.so $(OUT)/tests/service_faults/memory.so
$(FAULTY_FILES): $(OUT)/%.so: %.c
	@mkdir -p $(@D)
	@$(CC) -std=c11 -O1 -g -Wall -Wextra -Werror -fPIC -shared -D_FILE_OFFSET_BITS=64 -o $@ $< -ldl

test-faults-service: build-service $(FAULTY_FILES) ## a service whose disk, power, memory, descriptors and clock fail: ROUNDS=1000 POWER=200 ALLOCATIONS=100
	$(call install,test)
	@TEST_OBJECTS=$(abspath $(OUT)) ROUNDS=$(or $(ROUNDS),1000) POWER=$(or $(POWER),200) ALLOCATIONS=$(or $(ALLOCATIONS),100) \
	    $(PYTEST) tests/service_faults

# Fills a data folder with a past, for tests of the service and of its pages, and for screenshots.
$(WEB_PAST): %: %.o $(SERVICE_LIBRARY)
	@$(LINK) -o $@ $^ $(SERVICE_LIBS)

# What these take from npm: a driver of browsers, a checker of accessibility, a linter. Where npm
# can't fetch them, the tests skip and say so.
WEB_TESTS := build/web-tests/node_modules
OXLINT    := $(WEB_TESTS)/.bin/oxlint
$(WEB_TESTS)/.installed: tests/web/package.json tests/web/package-lock.json
	@mkdir -p build/web-tests && cp $^ build/web-tests
	@cd build/web-tests && $(NPM_CI) --silent && touch node_modules/.installed

web-tests-ready: build $(WEB_PAST)
	@command -v node >/dev/null || { echo 'The tests of the pages need node: apt-get install nodejs npm' >&2; exit 1; }
	@$(SUBMAKE) --silent $(WEB_TESTS)/.installed || true

test-web: web-tests-ready ## the pages in a real browser
	@WEB_PAST=$(WEB_PAST) $(PYTHON) tests/support/each.py $(wildcard tests/web/test_*.mjs) -- node --test --test-reporter=spec

SCREENSHOTS ?= docs/screenshots
screenshots: web-tests-ready ## every page, light and dark, wide and narrow, into SCREENSHOTS=docs/screenshots
	@WEB_PAST=$(WEB_PAST) node tests/web/screenshots.mjs $(SCREENSHOTS)

bench-web: web-tests-ready ## how soon a page with 30 days behind it shows its first chart
	@WEB_PAST=$(WEB_PAST) node tests/web/bench.mjs

# Lighthouse is 200 packages of npm: only who measures fetches them.
LIGHTHOUSE := build/web-lighthouse/node_modules/.installed
$(LIGHTHOUSE): tests/web/lighthouse/package.json tests/web/lighthouse/package-lock.json
	@mkdir -p build/web-lighthouse && cp $^ build/web-lighthouse
	@cd build/web-lighthouse && npm ci --ignore-scripts --no-audit --no-fund --silent && touch $(abspath $@)

lighthouse: web-tests-ready $(LIGHTHOUSE) ## what Lighthouse says of each page, on a desktop and a phone
	@WEB_PAST=$(WEB_PAST) node tests/web/lighthouse/lighthouse.mjs

# Fetches about 700 packages: not a part of `make test`.
HEROKU_CLIENTS := build/heroku-clients
test-heroku-clients: build-service ## Heroku's command line (npm) and heroku3 (PyPI) against the tests' false Heroku
	@mkdir -p $(HEROKU_CLIENTS)
	@test -x $(HEROKU_CLIENTS)/node_modules/.bin/heroku || npm install --ignore-scripts --no-audit --no-fund --prefix $(HEROKU_CLIENTS) heroku
	@test -x $(HEROKU_CLIENTS)/python/bin/python || { $(PYTHON) -m venv $(HEROKU_CLIENTS)/python && \
	    $(HEROKU_CLIENTS)/python/bin/pip install --quiet heroku3 six; }
	$(PYTEST) tests/clients/test_heroku_clients.py

KUBERNETES_CLIENTS := build/kubernetes-clients
test-kubernetes-clients: ## kubectl (Debian) and kubernetes (PyPI) against the tests' false Kubernetes
	$(if $(shell command -v kubectl),,$(call install,clients))
	@test -x $(KUBERNETES_CLIENTS)/bin/python || { $(PYTHON) -m venv $(KUBERNETES_CLIENTS) && \
	    $(KUBERNETES_CLIENTS)/bin/pip install --quiet kubernetes; }
	$(PYTEST) tests/clients/test_kubernetes_clients.py

# Nearly all of it waits, so one half runs beside the other.
LOOP_HALF := tests/loop/test_faults.py
test-loop: build ## real apps with real agents, scaled by a real service
	@$(call both,$(OWN_PROC) $(PYTEST) $(ONCE_MORE) $(LOOP_HALF),$(OWN_PROC) $(PYTEST) $(ONCE_MORE) tests/loop \
	    $(LOOP_HALF:%=--ignore %) --ignore tests/loop/test_published.py)

test-published: build ## the agents as they were published, from the registries, report to a real service
	$(PYTEST) tests/loop/test_published.py

-include $(patsubst %.o,%.d,$(SERVICE_OBJECTS) $(SERVICE_SUPPORT) $(POLICY_OBJECTS) $(POLICY_JOBS_OBJECTS) $(TRIALS_OBJECTS)) $(SERVICE_TESTS:%=%.d) $(OUT)/service/src/main.d

test-asan: asan
asan: ## the core's suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(OWN_PROC) $(SUBMAKE) test-core VARIANT=asan

# The suites of both languages under AddressSanitizer, whose runtime has to be there first. Leaks are
# not looked for: the interpreters leave memory to the system when they end. Nor is there a fork
# beside threads: it may leave the runtime's allocator locked in the child.
ASAN_CFLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
               -fno-omit-frame-pointer
ASAN_ENV     = LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
               ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=0
ASAN_RUBY   := build/asan/ruby
ASAN_PYTHON := build/asan/python

asan-python: ## the package's suite under AddressSanitizer
	@CC=gcc CFLAGS="$(ASAN_CFLAGS)" LDFLAGS="$(ASAN_CFLAGS)" $(PYTHON) -W ignore setup.py --quiet \
	    build --build-base $(ASAN_PYTHON) --build-lib $(ASAN_PYTHON)/lib
	$(ASAN_ENV) PYTHONPATH=$(ASAN_PYTHON)/lib $(PYTHON) -m pytest -p no:cacheprovider -q -rs \
	    tests/python --ignore tests/python/test_packaging.py -k 'not child and not fork'

# Ruby's exceptions leave C functions by a jump that the runtime does not see: no stack is watched.
asan-ruby: ## the gem's suite under AddressSanitizer
	@mkdir -p $(ASAN_RUBY)/lib && cd $(ASAN_RUBY) && \
	    CC=gcc CFLAGS="$(ASAN_CFLAGS) --param asan-stack=0" LDFLAGS="$(ASAN_CFLAGS)" \
	    $(RUBY) $(CURDIR)/ext/ruby/extconf.rb >extconf.log && $(MAKE) >make.log && \
	    cp -R $(CURDIR)/ruby/lib/. lib && cp dynoscale_ruby.so lib/dynoscale_ruby
	$(ASAN_ENV) TEST_RUBYLIB=$(CURDIR)/$(ASAN_RUBY)/lib $(RUBY) -I$(ASAN_RUBY)/lib -Itests/ruby -e \
	    '(Dir["./tests/ruby/*_test.rb"] - Dir["./tests/ruby/{gem,rails}*"]).each { |f| require f }' \
	    -- --exclude '/child|fork|daemon|exec|backtick/'

tsan: ## the core's suite under ThreadSanitizer
	@$(SUBMAKE) test-core VARIANT=tsan

valgrind: ## memory errors and leaks of a whole life, memory errors of the core's suite
	$(call install,tools)
	@$(SUBMAKE) run-valgrind

run-valgrind: $(LIFE) $(TESTS)
	@$(PYTHON) tests/valgrind/check.py $(LIFE) $(TESTS)

valgrind-service: build-service ## memory errors and leaks of a real service, and of its commands, over whole lives
	$(call install,test tools)
	@PYTHONPATH=python $(PYTHON) tests/valgrind/service.py build/dynoscaled

model: ## the buffer, the sleep and the wake-up in every order of steps there is
	$(call install,tools)
	@tests/model/check

test-buffer: model ## the model, and the buffer between many threads under ThreadSanitizer
	@$(SUBMAKE) run-buffer VARIANT=tsan

run-buffer: $(OUT)/tests/core/test_buffer
	@for round in 1 2 3 4 5 6 7 8 9 10; do $< || exit; done

coverage: ## the lines of core/src that the core's suite reaches
	$(call install,tools)
	@find build -name '*.gcda' -delete 2>/dev/null || true
	@$(SUBMAKE) test-core VARIANT=coverage
	@gcovr --root . --filter core/src --gcov-ignore-parse-errors --txt --fail-under-line 99

# Inputs that were worth keeping lie in build/fuzz, to go on from. One that fails stays there too:
# its place is then tests/fuzz/failures.
FUZZ_SECONDS ?= 30
fuzz: ## libFuzzer, FUZZ_SECONDS=30 or FUZZ_RUNS=N for each harness, or FUZZ="frame report"
	$(call install,tools)
	@$(SUBMAKE) run-fuzzers VARIANT=fuzz CC=clang

run-fuzzers: $(or $(FUZZ:%=$(OUT)/tests/fuzz/fuzz_%),$(FUZZERS))
	@$(PYTHON) tests/fuzz/seeds.py build/fuzz/seeds
	@for program in $^; do \
	    name=$${program##*/fuzz_}; inputs=build/fuzz/$$name; mkdir -p $$inputs; echo "# $$program"; \
	    $$program $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS)) \
	        -max_len=4096 -timeout=10 -print_final_stats=1 -artifact_prefix=$$inputs- \
	        $$inputs build/fuzz/seeds/$$name >$$inputs.log 2>&1 || \
	        { tail -60 $$inputs.log; exit 1; }; \
	    grep '^stat::number' $$inputs.log; \
	done

# The same harnesses with the compiler that is there anyway, and no coverage to lead them.
BRIEF_SECONDS ?= 3
test-fuzz: ## BRIEF_SECONDS=3 of random inputs for each harness, under AddressSanitizer
	@$(PYTHON) tests/fuzz/seeds.py build/fuzz/seeds
	@$(SUBMAKE) run-briefly VARIANT=asan

run-briefly: $(BRIEFLY)
	@$(OWN_PROC) ASAN_OPTIONS=abort_on_error=1 UBSAN_OPTIONS=abort_on_error=1 FUZZ_SECONDS=$(BRIEF_SECONDS) \
	    $< build/fuzz/seeds

.PHONY: matrix test-builds

# MATRIX=1 is for the newest Rails, from the gem registry, where there is one. MATRIX_ONLY: what
# names of interpreters and suites begin with. MATRIX_WHOLE=1: in new Debians, `make test` first.
matrix: ## the suites with every interpreter here, or MATRIX_RELEASES="here trixie": in new Debians
	$(call install,matrix frameworks)
	@MATRIX=1 $(PYTHON) tests/matrix/matrix.py $(if $(MATRIX_WHOLE),--whole) \
	    $(MATRIX_ONLY:%=--only %) $(MATRIX_RELEASES:%=--release %)

test-builds: ## twine and the like; builds in a new Debian that lacks what they need (RELEASE=bookworm)
	$(call install,matrix)
	@$(PYTEST) tests/builds

bench: ## what the agents cost, beside what can't be avoided; QUICK=1 ONLY=core,ruby MINUTES=10
	$(call install,bench)
	@mkdir -p build; $(SUBMAKE) build $(BENCHES) >build/bench.log 2>&1 || { cat build/bench.log; exit 1; }
	@BENCH_NATIVE=$(abspath $(OUT))/bench/native $(PYTHON) bench/bench.py $(if $(QUICK),--quick) \
	    $(ONLY:%=--only %) $(MINUTES:%=--minutes %) $(TO:%=--to %)

bench-machines: build-service ## receivers 1 to 4 on one PostgreSQL, 10,000 apps: APPS=10000 SECONDS=120 TO=DIR
	@$(PYTHON) bench/service/machines.py --apps $(or $(APPS),10000) --seconds $(or $(SECONDS),120) $(TO:%=--to %)

bench-service: ## what the service costs, beside nginx, SQLite and bare loops; QUICK=1 ONLY=report,disk
	$(call install,bench service)
	@mkdir -p build; $(SUBMAKE) build-service $(SERVICE_BENCHES) >build/bench.log 2>&1 || { cat build/bench.log; exit 1; }
	@$(PYTHON) bench/service/bench_service.py --programs $(abspath $(OUT))/bench/service $(if $(QUICK),--quick) \
	    $(ONLY:%=--only %) $(TO:%=--to %)

bench-policy: $(POLICY) ## how few dynos and slow minutes each way of scaling needs; TRACES=DIR SEEDS=1,2,3 QUICK=1
	$(call install,bench)
	@SIMULATE=$(abspath $(POLICY)) $(PYTHON) bench/policy/compare.py $(if $(QUICK),--quick) \
	    $(if $(SEEDS),--seeds $(SEEDS)) $(if $(TRACES),--traces $(TRACES)) $(if $(TO),--to $(TO))

bench-policy-jobs: $(POLICY_JOBS) ## the same of workers: worker-hours and jobs that begin late; SEEDS=1,2,3 QUICK=1
	@SIMULATE=$(abspath $(POLICY_JOBS)) $(PYTHON) bench/policy/jobs/compare.py $(if $(QUICK),--quick) \
	    $(if $(SEEDS),--seeds $(SEEDS))

bench-trials: $(POLICY) $(TRIALS) $(POLICY_JOBS) $(TRIALS_JOBS) ## how true trials of rules are, beside exact runs; SEEDS=1,2 ONLY=flash
	@$(PYTHON) bench/policy/trials.py --simulate $(abspath $(POLICY)) --trial $(abspath $(TRIALS)) \
	    $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only '$(ONLY)')
	@$(PYTHON) bench/policy/trials.py --simulate $(abspath $(POLICY_JOBS)) --trial $(abspath $(TRIALS_JOBS)) \
	    --jobs $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only '$(ONLY)')

# Instructions of a request: the same on a fast machine and a slow one, idle or busy.
COUNT = BENCH_REQUEST_PATH=$(abspath $(COUNTED))

test-bench: build $(COUNTED) ## no request costs more instructions than recorded
	$(COUNT) $(PYTEST) tests/bench

accept-instructions: build $(COUNTED) ## record what a request costs now
	$(COUNT) $(PYTHON) bench/instructions/count.py --accept

# ---- The code's shape -------------------------------------------------------------------------

OURS   = $(shell git ls-files --cached --others --exclude-standard $(1))

format: ## lay out the C sources (.clang-format)
	$(call install,tools)
	@clang-format -i $(call OURS,'*.[ch]')

CPPCHECK   = cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
                 --error-exitcode=1 -Icore/include -Icore/src
RUBY_FILES = '*.rb' 'ruby/exe/*' '*.ru' '*.gemspec' '*Gemfile' '*Rakefile' '*/bin/rails'

lint: ## what the linters say
	$(call install,tools)
	@echo clang-format; clang-format --dry-run -Werror $(call OURS,'*.[ch]')
	$(CPPCHECK) core/src
	$(CPPCHECK) -Iservice/src --library=tests/support/jansson.cfg service/src
	shellcheck .ci/run $(shell git grep -l '^#!/bin/sh' -- tests service ':!*.py')
	@echo pyflakes; $(PYTHON) -m pyflakes $(call OURS,'*.py')
	$(PYTHON) -m mypy
	MYPYPATH=tests/support:tests/service:bench $(PYTHON) -m mypy --config-file= --strict \
	    --implicit-reexport --disable-error-code import --follow-imports silent \
	    --explicit-package-bases $(call OURS,'bench/service/*.py' 'tests/service/*.py' 'service/*.py') \
	    tests/support/service.py tests/support/coverage.py
	MYPYPATH=tests/support:tests/service:tests/service_faults $(PYTHON) -m mypy --config-file= --strict \
	    --implicit-reexport --disable-error-code import --follow-imports silent \
	    --explicit-package-bases $(call OURS,'tests/service_faults/*.py')
	@$(SUBMAKE) --silent $(WEB_TESTS)/.installed || true
	@if test -x $(OXLINT); then echo oxlint; $(OXLINT) --quiet -c tests/web/oxlint.json $(WEB) tests/web; \
	    else echo 'oxlint: not run, since npm could not fetch it'; fi
	@echo rubocop; rubocop --cache false --config ruby/.rubocop.yml $(call OURS,$(RUBY_FILES))
