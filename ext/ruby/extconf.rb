# frozen_string_literal: true

# Writes the Makefile that compiles the binding (this directory) and the core (core/src) in place.
# Uses CC, CFLAGS, CPPFLAGS and LDFLAGS of the environment.

require 'pathname'
require 'rbconfig'

# Stops the build with one line that says what to install.
def missing(what, **packages)
  $makefile_created = true # otherwise mkmf adds twenty lines that hide this one
  remedies = packages.map { |system, command| "#{system.to_s.tr('_', '/')}: #{command}" }
  abort "dynoscale_ruby can't be built: #{what}. #{remedies.join('; ')}."
end

unless File.exist?(File.join(RbConfig::CONFIG['rubyhdrdir'].to_s, 'ruby.h'))
  missing "Ruby's headers (ruby.h) are missing",
          Debian_Ubuntu: 'apt-get install ruby-dev', Fedora: 'dnf install ruby-devel',
          Alpine: 'apk add ruby-dev', macOS: 'brew install ruby'
end

RbConfig::MAKEFILE_CONFIG['CC'] = RbConfig::CONFIG['CC'] = ENV['CC'] if ENV['CC']
require 'mkmf'

def missing_compiler(what)
  missing what, Debian_Ubuntu: 'apt-get install gcc make libc6-dev', Fedora: 'dnf install gcc make',
                Alpine: 'apk add build-base', macOS: 'xcode-select --install'
end

def check_compiler
  works = checking_for('C11 with atomics') { try_compile(<<~C) }
    #include <stdatomic.h>
    _Static_assert(sizeof(_Atomic(int)) == sizeof(int), "lock-free");
    int main(void) { return 0; }
  C
  missing_compiler "the compiler (#{RbConfig::CONFIG['CC']}) does not know C11" unless works
rescue RuntimeError # mkmf's, if not even an empty program compiles
  puts # ends the line of the check, so that ours is a line of its own
  $stdout.flush
  missing_compiler "no working C compiler was found (tried #{RbConfig::CONFIG['CC']})"
end

# Only the headers: the agent's thread loads libcurl when there is something to send.
def check_curl
  return if have_header('curl/curl.h')

  directory = pkg_config('libcurl', 'cflags-only-I')
  $INCFLAGS << " #{directory}" if directory
  return if directory && have_header('curl/curl.h')

  missing "libcurl's headers (curl/curl.h) are missing",
          Debian_Ubuntu: 'apt-get install libcurl4-openssl-dev',
          Fedora: 'dnf install libcurl-devel', Alpine: 'apk add curl-dev',
          macOS: 'xcode-select --install'
end

def add_hardening
  append_cflags('-fstack-protector-strong', werror: true)
  append_ldflags('-Wl,-z,relro,-z,now')
  flags = "#{$CPPFLAGS} #{RbConfig.expand($CFLAGS.dup)}"
  # Not if it is set already or nothing is optimised, where it would only warn.
  return if flags.include?('_FORTIFY_SOURCE') || !flags.match?(/-O(?!0)\S*(?!.* -O0)/)

  $CPPFLAGS << ' -D_FORTIFY_SOURCE=2'
end

# Saves some ns of each request: the core's small functions are inlined into the binding's.
def add_link_time_optimization
  optimization = %w[-flto=auto -flto].find do |flag|
    checking_for(flag) { try_link('int main(void) { return 0; }', flag) }
  end
  return unless optimization

  $CFLAGS << " #{optimization}"
  $LDFLAGS << " #{optimization}"
end

dir_config('curl')
core = File.join($srcdir, '../../core')
$INCFLAGS << ' -I$(srcdir)/../../core/include'
$VPATH << '$(srcdir)/../../core/src'
$srcs = Dir[File.join($srcdir, '*.c'), File.join(core, 'src/*.c')].sort

check_compiler
missing_compiler 'make was not found' unless find_executable(ENV['MAKE'] || ENV['make'] || 'make')
check_curl
have_library('pthread', 'pthread_create', 'pthread.h')
have_library('dl', 'dlopen', 'dlfcn.h')

$CFLAGS << ' -std=gnu11'
append_cflags('-fvisibility=hidden', werror: true)
$CFLAGS << " #{ENV['CFLAGS']}" if ENV['CFLAGS']
$CPPFLAGS << " #{ENV['CPPFLAGS']}" if ENV['CPPFLAGS']
$LDFLAGS << " #{ENV['LDFLAGS']}" if ENV['LDFLAGS']
add_hardening
add_link_time_optimization

# For development: --enable-warnings.
if enable_config('warnings', false)
  $CFLAGS << ' -Wall -Wextra -Wconversion'
  $INCFLAGS.gsub!(/-I(?=\$\((?:arch_)?hdrdir\))/, '-isystem ') # Ruby's own headers are its own
end

# rake-compiler uses the target's whole path: make can't quote one with blanks, and a moved checkout
# would still be built into its old place.
root = File.expand_path('../..', __dir__)
%w[sitearchdir sitelibdir].each do |name|
  path = RbConfig::MAKEFILE_CONFIG[name]
  next unless path.start_with?("#{root}/")

  RbConfig::MAKEFILE_CONFIG[name] = Pathname(path).relative_path_from(Pathname.pwd).to_s
end

create_makefile('dynoscale_ruby/dynoscale_ruby')
