# frozen_string_literal: true

require 'test_helper'
require_relative 'gem_test'
require_relative 'support/rails_app'

# The built gem, installed away from the checkout, in an app whose Gemfile names it and no more.
class GemInRailsTest < DynoscaleTests::AgentTest
  include DynoscaleTests::RailsApp

  GEMFILE = <<~RUBY
    source 'https://rubygems.org'
    gem 'dynoscale_ruby'
    gem 'puma'
    gem 'railties'
  RUBY

  def setup
    super
    File.write("#{@directory}/Gemfile", GEMFILE)
  end

  # The rest is Debian's.
  def environment(...)
    home = GemTest.gem_home
    super.merge('GEM_HOME' => home, 'GEM_PATH' => [home, *Gem.default_path].join(':'),
                'DYNOSCALE_RUBY_ROOT' => '/nonexistent')
  end

  def bundle_exec(*command)
    run_in_app(RbConfig.ruby, '-S', 'bundle', 'exec', *command).out
  end

  def test_rails_server_under_bundler_reports_every_request
    assert_reports_every_request('-S', 'bundle', 'exec', 'rails', 'server')
  end

  def test_it_is_the_installed_one_and_in_the_stack
    assert_match(/\Ause DynoscaleRuby::Middleware$/, bundle_exec('rails', 'middleware'))
    path = bundle_exec('rails', 'runner', 'puts $LOADED_FEATURES.grep(/dynoscale_ruby\.(so|bundle)/)')
    assert path.start_with?(GemTest.gem_home), path
  end

  def test_bundler_locks_nothing_else_for_it
    bundle_exec('rails', 'runner', '1')
    assert_match(/^    dynoscale_ruby \(#{Regexp.escape(DynoscaleRuby::VERSION)}\)\n    \S/,
                 File.read("#{@directory}/Gemfile.lock"))
  end
end
