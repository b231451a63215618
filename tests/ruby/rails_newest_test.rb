# frozen_string_literal: true

require 'test_helper'
require_relative 'rails_test'

# The same with the newest Rails that this Ruby runs, from the gem registry: MATRIX=1.
class RailsNewestTest < RailsTest
  HOME = "#{DynoscaleTests::ROOT}/build/gems/railties-#{RUBY_VERSION}"
  GEMS = { 'GEM_HOME' => HOME, 'GEM_PATH' => HOME }.freeze

  # Why it can't be had, nil where it can.
  def self.missing
    return 'set MATRIX=1 to fetch it' unless ENV['MATRIX'] == '1'
    return @missing if defined?(@missing)

    @missing = (fetch unless File.exist?("#{HOME}/complete"))
  end

  def self.fetch
    FileUtils.mkdir_p(HOME)
    result = DynoscaleTests::Script.command(
      RbConfig.ruby, '-S', 'gem', 'install', '--no-document', '--install-dir', HOME, 'railties', 'puma',
      env: GEMS, seconds: 600
    )
    return "gem install railties: #{result.err.strip}" unless result.status.success?

    FileUtils.touch("#{HOME}/complete")
    nil
  end

  def self.rails?
    true
  end

  def setup
    reason = self.class.missing
    skip "the newest Rails: #{reason}" if reason
    super
  end

  def environment(...)
    super.merge(GEMS)
  end

  def need_gem(name)
    skip "#{name} is tested with Debian's Rails"
  end

  def test_it_is_newer_than_debians
    assert_operator Gem::Version.new(server('puts Rails.version').lines.last.chomp), :>=,
                    Gem::Version.new('7.2')
  end
end
