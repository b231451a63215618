# frozen_string_literal: true

require 'test_helper'
require 'fileutils'

# The suite's tests that use Rack, with the newest Rack that this Ruby runs, from the gem registry:
# MATRIX=1. Debian's is Rack 2.
class RackNewestTest < Minitest::Test
  HOME = "#{DynoscaleTests::ROOT}/build/gems/rack-#{RUBY_VERSION}"

  def setup
    skip 'the newest Rack: set MATRIX=1 to fetch it' unless ENV['MATRIX'] == '1'
    return if File.exist?("#{HOME}/complete")

    result = DynoscaleTests::Script.command(RbConfig.ruby, '-S', 'gem', 'install', '--no-document',
                                            '--install-dir', HOME, 'rack', env: gems, seconds: 120)
    skip "gem install rack: #{result.err.strip}" unless result.status.success?
    FileUtils.touch("#{HOME}/complete")
  end

  def gems
    { 'GEM_HOME' => HOME, 'GEM_PATH' => [HOME, *Gem.default_path].join(':') }
  end

  def test_they_pass_with_it
    code = "gem 'rack', '>= 3'; require 'rack'; warn Rack.release"
    result = DynoscaleTests::Script.tests(%w[queue_time_shown middleware counted_once], code: code, env: gems)
    assert_predicate result.status, :success?, result.out + result.err
    assert_match(/\A[3-9]\./, result.err)
    assert_match(/^\d\d+ runs, \d+ assertions, 0 failures, 0 errors/, result.out)
  end
end
