# make demo     see the story of Klopf on the terminal, and that of mails and guestbooks (demo-letters)  (root)
#               make demo-knockd shows that of knockd
# make test     all tests                                        (root, or the end-to-end tests are skipped)
# make bench    measure Klopf side by side with other programs   (root; ROUNDS=5)
# make          build the five programs, their man pages and shell completions
# make install  PREFIX=/usr/local DESTDIR= sysconfdir=/etc       (root)
#
# What is missing on Debian and Ubuntu is installed where root runs this; scripts/need.sh has the list.

PREFIX = /usr/local
DESTDIR =
sysconfdir = /etc
bindir = $(PREFIX)/bin
sbindir = $(PREFIX)/sbin
libexecdir = $(PREFIX)/libexec
mandir = $(PREFIX)/share/man
datadir = $(PREFIX)/share
docdir = $(datadir)/doc/klopf
libdir = $(PREFIX)/lib
unitdir = $(libdir)/systemd/system

# The conformance cases for knockd.
KNOCKD_CASES = tests/knockd
# Seconds that all fuzz targets take together.
FUZZ_SECONDS = 60

# Rounds of the benchmark.
ROUNDS = 5

CARGO = scripts/cargo
CARGO_TARGET_DIR ?= target
release = $(CARGO_TARGET_DIR)/release
generated = $(release)/klopf-docs

to = $(DESTDIR)
fill_in = sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@unitdir@|$(unitdir)|g'

all: build

build:
	@scripts/need.sh build
	$(CARGO) build --release --locked
	@mkdir -p $(generated)/man $(generated)/completions
	$(release)/klopf man $(generated)/man
	$(release)/klopfd --man $(generated)/man
	$(release)/klopf completions bash >$(generated)/completions/klopf
	$(release)/klopf completions zsh >$(generated)/completions/_klopf
	$(release)/klopf completions fish >$(generated)/completions/klopf.fish

demo:
	@scripts/need.sh demo
	@$(CARGO) build --release --locked
	@demo/demo.sh $(release)
	@demo/letters.sh $(release)

demo-letters:
	@scripts/need.sh demo
	@$(CARGO) build --release --locked
	@demo/letters.sh $(release)

demo-knockd:
	@scripts/need.sh demo
	@$(CARGO) build --release --locked
	@demo/knockd.sh $(release)

test:
	@scripts/need.sh test
	$(CARGO) build --release --locked
	@scripts/test.sh $(release) $(KNOCKD_CASES)

lint: build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps
	@scripts/lint.sh $(release)

# Installs what has been built; builds only where nothing has been.
install:
	@[ -d $(generated) ] || $(MAKE) build
	install -d $(to)$(bindir) $(to)$(sbindir) $(to)$(unitdir)
	install -d $(to)$(mandir)/man1 $(to)$(mandir)/man5 $(to)$(mandir)/man8 $(to)$(docdir)
	install -m 0755 $(release)/klopf $(release)/knock $(to)$(bindir)
	install -m 0755 $(release)/klopfd $(release)/knockd $(to)$(sbindir)
	install -D -m 0755 $(release)/klopf-courier $(to)$(libexecdir)/klopf/klopf-courier
	install -m 0644 $(generated)/man/*.1 $(to)$(mandir)/man1
	install -m 0644 $(generated)/man/*.5 $(to)$(mandir)/man5
	install -m 0644 $(generated)/man/*.8 $(to)$(mandir)/man8
	install -m 0644 examples/*.toml $(to)$(docdir)
	install -D -m 0644 $(generated)/completions/klopf $(to)$(datadir)/bash-completion/completions/klopf
	install -D -m 0644 $(generated)/completions/_klopf $(to)$(datadir)/zsh/site-functions/_klopf
	install -D -m 0644 $(generated)/completions/klopf.fish $(to)$(datadir)/fish/vendor_completions.d/klopf.fish
	$(fill_in) packaging/systemd/klopfd.service >$(to)$(unitdir)/klopfd.service
	$(fill_in) packaging/systemd/knockd.service >$(to)$(unitdir)/knockd.service
	chmod 0644 $(to)$(unitdir)/klopfd.service $(to)$(unitdir)/knockd.service
	install -D -m 0644 packaging/klopf.sysusers $(to)$(libdir)/sysusers.d/klopf.conf
	install -D -m 0644 packaging/klopf.tmpfiles $(to)$(libdir)/tmpfiles.d/klopf.conf
	install -d $(to)$(sysconfdir)/init.d $(to)$(sysconfdir)/klopf
	$(fill_in) packaging/sysv/klopfd >$(to)$(sysconfdir)/init.d/klopfd
	chmod 0755 $(to)$(sysconfdir)/init.d/klopfd
	[ -e $(to)$(sysconfdir)/klopf/klopf.toml ] || \
		install -m 0600 examples/klopf.toml $(to)$(sysconfdir)/klopf/klopf.toml

# Leaves the configuration and what is in /var/lib/klopf.
uninstall:
	cd $(generated)/man && for page in *; do rm -f $(to)$(mandir)/man$${page##*.}/$$page; done
	rm -f $(to)$(bindir)/klopf $(to)$(bindir)/knock $(to)$(sbindir)/klopfd $(to)$(sbindir)/knockd
	rm -f $(to)$(libexecdir)/klopf/klopf-courier
	-rmdir $(to)$(libexecdir)/klopf 2>/dev/null
	cd examples && for file in *.toml; do rm -f $(to)$(docdir)/$$file; done
	-rmdir $(to)$(docdir) 2>/dev/null
	rm -f $(to)$(datadir)/bash-completion/completions/klopf $(to)$(datadir)/zsh/site-functions/_klopf
	rm -f $(to)$(datadir)/fish/vendor_completions.d/klopf.fish
	rm -f $(to)$(unitdir)/klopfd.service $(to)$(unitdir)/knockd.service
	rm -f $(to)$(libdir)/sysusers.d/klopf.conf $(to)$(libdir)/tmpfiles.d/klopf.conf
	rm -f $(to)$(sysconfdir)/init.d/klopfd

# Root. BENCH_OPTIONS="--seconds 2 --small" for a quick look; bench-open, bench-first, bench-flood, bench-scale and bench-rest
# measure one part anew, and leave the others on the page as they are.
bench bench-open bench-first bench-flood bench-scale bench-rest:
	@scripts/need.sh bench
	$(CARGO) build --release --locked
	$(CARGO) build --release --locked --package klopf-bench
	$(release)/klopf-bench --rounds $(ROUNDS) --docs docs $(BENCH_OPTIONS) $(if $(filter bench,$@),all,$(@:bench-%=%))

# How fast a log is followed; without root.
bench-log:
	@scripts/need.sh build
	$(CARGO) run --release --locked --package klopf-bench -- log

# The cost of each stage of a packet.
bench-micro:
	@scripts/need.sh build
	$(CARGO) bench --locked --package klopf-bench --bench stages

# The same in instructions, against bench/counts.txt; fails when one has grown by more than 5 %.
bench-count bench-count-bless:
	@scripts/need.sh count
	$(CARGO) build --release --locked --package klopf-bench
	$(release)/klopf-bench count bench/counts.txt $(if $(filter %-bless,$@),--bless)

fuzz-smoke:
	@scripts/need.sh fuzz
	@scripts/fuzz.sh $(FUZZ_SECONDS)

clean:
	$(CARGO) clean

.PHONY: all build demo demo-letters demo-knockd test lint install uninstall bench bench-open bench-first bench-flood \
	bench-scale bench-rest bench-micro bench-count bench-count-bless bench-log fuzz-smoke clean
