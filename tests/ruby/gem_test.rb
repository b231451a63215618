# frozen_string_literal: true

require 'test_helper'
require 'digest'
require 'fileutils'
require 'rubygems/package'
require 'tmpdir'

# The gem as it is built, installed away from the checkout, and used.
class GemTest < DynoscaleTests::AgentTest
  ROOT = DynoscaleTests::ROOT
  Script = DynoscaleTests::Script

  # Built from a copy of what the gemspec names, so that nothing else can be leant on.
  def self.gem_file
    @gem_file ||= build(Dir.mktmpdir('gem test').tap { |directory| remove_at_end(directory) })
  end

  def self.remove_at_end(directory)
    Minitest.after_run { FileUtils.remove_entry(directory) }
  end

  def self.spec
    @spec ||= Gem::Specification.load("#{ROOT}/dynoscale_ruby.gemspec")
  end

  def self.build(directory)
    (spec.files + ['dynoscale_ruby.gemspec']).each do |file|
      FileUtils.mkdir_p(File.dirname("#{directory}/#{file}"))
      FileUtils.cp("#{ROOT}/#{file}", "#{directory}/#{file}")
    end
    gem_command('build', '--strict', 'dynoscale_ruby.gemspec',
                env: { 'SOURCE_DATE_EPOCH' => '315619200' }, directory: directory)

    "#{directory}/#{spec.file_name}"
  end

  # An empty GEM_HOME with the gem in it: in a path with blanks, with CFLAGS of the user's.
  def self.gem_home
    @gem_home ||= Dir.mktmpdir('gem home').tap do |home|
      remove_at_end(home)
      gem_command('install', '--local', '--no-document', gem_file,
                  env: home_of(home).merge('CFLAGS' => '-O1 -g0'), directory: home, seconds: 300)
    end
  end

  def self.gem_command(*arguments, **options)
    result = Script.command(RbConfig.ruby, '-S', 'gem', *arguments, **options)
    raise result.out + result.err unless result.status.success?
  end

  def self.home_of(directory)
    { 'GEM_HOME' => directory, 'GEM_PATH' => directory, 'HOME' => directory }
  end

  def run_installed(code, **environment)
    home = self.class.gem_home
    result = Script.command(RbConfig.ruby, '-W', '-rdynoscale_ruby/middleware', '-e', code,
                            env: self.class.home_of(home).merge(environment), directory: '/')
    assert_equal ['', 0], [result.err, result.status.exitstatus]
    result.out
  end

  def library
    Dir["#{self.class.gem_home}/gems/*/ruby/lib/dynoscale_ruby/dynoscale_ruby.{so,bundle}"].first
  end

  def test_the_installed_gem_reports
    run_installed(<<~'RUBY', **Script.environment(url))
      app = DynoscaleRuby::Middleware.new(->(_) { [200, {}, []] })
      3.times { app.call({ 'HTTP_X_REQUEST_START' => "t=#{Time.now.to_f}" }) }
    RUBY
    assert_equal 3, receiver.rows.size
  end

  def test_the_installed_gem_has_its_program
    receiver.behave('ok', checks: true)
    home = self.class.gem_home
    env = self.class.home_of(home).merge(Script.environment(url))
    program = "#{home}/bin/dynoscale"
    result = Script.command(RbConfig.ruby, '-w', program, 'doctor', directory: '/', env: env)
    assert_equal ['', 0], [result.err, result.status.exitstatus], result.out
    assert_equal "All is well.\n", result.out.lines.last
  end

  def test_the_installed_gem_is_not_the_checkouts
    out = run_installed('puts $LOADED_FEATURES.grep(/dynoscale/), DynoscaleRuby::VERSION')
    refute_includes out, ROOT
    assert_equal DynoscaleRuby::VERSION, out.lines.last.chomp
  end

  def test_it_needs_no_other_gem_at_run_time
    assert_empty self.class.spec.runtime_dependencies
    code = 'defaults = Gem.loaded_specs.values.select(&:default_gem?).map(&:name); ' \
           'print (Gem.loaded_specs.keys - defaults).join(" ")'
    assert_equal 'dynoscale_ruby', run_installed(code)
  end

  def test_it_shows_no_symbol_but_its_own_init
    skip 'there is no nm' unless system('nm --version', out: File::NULL, err: File::NULL)
    skip 'ELF only' unless RbConfig::CONFIG['DLEXT'] == 'so'
    symbols = Script.command('nm', '-D', '--defined-only', '--format=posix', library).out
    assert_equal ['Init_dynoscale_ruby'], (symbols.lines.map { |line| line.split.first })
  end

  def test_it_is_hardened_where_the_platform_has_it
    skip 'there is no readelf' unless system('readelf --version', out: File::NULL, err: File::NULL)
    headers = Script.command('readelf', '-ldW', library).out
    assert_match(/GNU_RELRO/, headers)
    assert_match(/BIND_NOW|FLAGS_1.*NOW/, headers)
    refute_match(/libcurl/, headers, 'libcurl is loaded when it is needed')
    assert_match(/__stack_chk_fail/, Script.command('nm', '-D', library).out)
  end

  def test_two_builds_are_the_same_to_the_byte
    again = self.class.build(Dir.mktmpdir.tap { |directory| self.class.remove_at_end(directory) })
    assert_equal(*[self.class.gem_file, again].map { |file| Digest::SHA256.file(file).hexdigest })
  end

  # As Bundler's `path:` leaves it, and a precompiled gem under another Ruby.
  def test_without_its_compiled_part_it_says_so_in_one_line
    Dir.mktmpdir do |directory|
      FileUtils.cp_r("#{ROOT}/ruby/lib", directory)
      FileUtils.rm(Dir["#{directory}/lib/**/*.{so,bundle}"])
      script = "begin; require 'dynoscale_ruby'; rescue LoadError => e; print e.message; end"
      command = [RbConfig.ruby, '--disable-gems', '-W', "-I#{directory}/lib", '-e', script]
      result = Script.command(*command, directory: directory)
      assert_equal '', result.err
      assert_match(/\Athe compiled part of dynoscale_ruby is not there for Ruby [^\n]*\z/, result.out)
      assert_includes result.out, 'rake compile'
    end
  end

  def test_it_has_the_core_and_the_binding_and_nothing_of_the_tests
    files = Gem::Package.new(self.class.gem_file).contents
    sources = Dir.chdir(ROOT) { Dir['core/src/*', 'core/include/*', 'ext/ruby/*.{c,h,rb}'] }
    assert_empty sources - files
    assert_empty files.grep(%r{\A(?!(core|ext/ruby|ruby/exe|ruby/lib)/|[A-Z]+(\.md)?\z)})
    assert_empty files.grep(/\.(o|so|bundle|log)\z/)
  end

  def test_its_metadata_is_whole
    spec = Gem::Package.new(self.class.gem_file).spec
    assert_equal ['dynoscale_ruby', DynoscaleRuby::VERSION, ['MIT']],
                 [spec.name, spec.version.to_s, spec.licenses]
    assert_equal 'true', spec.metadata['rubygems_mfa_required']
    links = spec.metadata.values_at('changelog_uri', 'documentation_uri', 'source_code_uri')
    assert(links.all? { |link| link.start_with?('https://') })
    assert spec.required_ruby_version.satisfied_by?(Gem::Version.new('3.0.0'))
    refute spec.required_ruby_version.satisfied_by?(Gem::Version.new('2.7.8'))
  end
end

# What a machine lacks is said in one line that names the package to install.
class BuildTest < Minitest::Test
  EXTCONF = File.join(DynoscaleTests::ROOT, 'ext/ruby/extconf.rb')
  SYSTEMS = %w[Debian/Ubuntu: Fedora: Alpine: macOS:].freeze

  def configure(*arguments, **environment)
    Dir.mktmpdir do |directory|
      DynoscaleTests::Script.command(RbConfig.ruby, *arguments, EXTCONF,
                                     directory: directory, env: environment.transform_keys(&:to_s))
    end
  end

  # A compiler that can't do what has the word in it.
  def compiler_without(word)
    Dir.mktmpdir do |directory|
      path = File.join(directory, 'cc')
      File.write(path, <<~SH)
        #!/bin/sh
        for argument; do
          case $argument in *.c) grep -q '#{word}' "$argument" && exit 1 ;; esac
        done
        exec #{RbConfig::CONFIG['CC']} "$@"
      SH
      File.chmod(0o755, path)
      yield path
    end
  end

  def assert_one_line(result, *words)
    refute_predicate result.status, :success?
    assert_equal 1, result.err.lines.size, result.err
    (words + SYSTEMS).each { |word| assert_includes result.err, word }
  end

  def test_without_a_compiler
    assert_one_line configure(CC: '/nonexistent/cc'), 'no working C compiler', '/nonexistent/cc',
                    'apt-get install gcc', 'build-base', 'xcode-select'
  end

  def test_with_a_compiler_that_knows_no_c11
    compiler_without('stdatomic.h') do |path|
      assert_one_line configure(CC: path), 'does not know C11'
    end
  end

  def test_without_curls_headers
    compiler_without('curl/curl.h') do |path|
      assert_one_line configure(CC: path), 'curl/curl.h', 'libcurl4-openssl-dev', 'libcurl-devel',
                      'curl-dev'
    end
  end

  def test_without_rubys_headers
    result = configure('-rrbconfig', '-e', 'RbConfig::CONFIG["rubyhdrdir"] = "/nonexistent"; ' \
                                           'load ARGV.fetch(0)')
    assert_one_line result, 'ruby.h', 'apt-get install ruby-dev', 'ruby-devel'
  end

  def test_without_make
    assert_one_line configure(MAKE: 'nonexistent-make'), 'make was not found'
  end
end
