# frozen_string_literal: true

# Defines DynoscaleRuby::VERSION, from core/include/dynoscale.h, and the classes written in C.
#
# A precompiled gem has a library for each libc and Ruby; any other gem has the one compiled at its
# installation.
libc = RUBY_PLATFORM.include?('musl') ? 'musl' : 'gnu'
precompiled = "#{__dir__}/#{libc}/#{RUBY_VERSION[/\d+\.\d+/]}/dynoscale_ruby.so"
require File.exist?(precompiled) ? precompiled : 'dynoscale_ruby/dynoscale_ruby'
