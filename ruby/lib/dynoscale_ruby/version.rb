# frozen_string_literal: true

# Defines DynoscaleRuby::VERSION, from core/include/dynoscale.h, and the classes written in C.
#
# A precompiled gem has a library for each libc and Ruby; any other gem has the one compiled at its
# installation.
libc = RUBY_PLATFORM.include?('musl') ? 'musl' : 'gnu'
precompiled = "#{__dir__}/#{libc}/#{RUBY_VERSION[/\d+\.\d+/]}/dynoscale_ruby.so"
begin
  require File.exist?(precompiled) ? precompiled : 'dynoscale_ruby/dynoscale_ruby'
rescue LoadError => e
  raise unless e.path == 'dynoscale_ruby/dynoscale_ruby' # it is there: what it lacks is said

  # Bundler compiles no gem that is named by its path.
  raise LoadError, "the compiled part of dynoscale_ruby is not there for Ruby #{RUBY_VERSION} on " \
                   "#{RUBY_PLATFORM}: in a checkout run `rake compile`, elsewhere install " \
                   'the gem to compile: `gem install --platform ruby dynoscale_ruby`, with Bundler ' \
                   '`bundle config set --local force_ruby_platform true`', cause: nil
end
