# frozen_string_literal: true

require 'test_helper'
require 'logger'
require 'uri'

# Settings: where they come from, what is taken, what is said and what is not.
class SettingsTest < DynoscaleTests::AgentTest
  Settings = DynoscaleRuby::Settings

  VARIABLES = Settings::TABLE.values.map { |row| row[:variable] }.push('DYNOSCALE_DEV').freeze

  def setup
    super
    configure
  end

  def teardown
    VARIABLES.each { |name| ENV.delete(name) }
    super
  end

  def settings
    DynoscaleRuby.settings
  end

  def values(*names)
    names.map { |name| settings.public_send(name) }
  end

  # The one warning that giving the setting this value leads to.
  def warning_about(name, value)
    @logger.lines.clear
    configure(name => value)
    assert_equal 1, @logger.lines.size, @logger.lines.inspect
    @logger.warnings.first
  end

  def test_defaults_are_those_of_the_protocol
    assert_equal [nil, nil, nil, false, false, 30, 'first', 'warn'],
                 values(:url, :dyno, :app_name, :skip, :dev_mode, :publish_frequency, :dynos,
                        :log_level)
    assert_equal [:default], Settings::TABLE.keys.map { |name| settings.source(name) }.uniq
  end

  def test_the_environment_is_read
    ENV['DYNOSCALE_URL'] = 'https://a.example/token'
    ENV['DYNO'] = 'web.2'
    ENV['HEROKU_APP_NAME'] = 'shop'
    ENV['DYNOSCALE_DYNOS'] = 'all'
    ENV['DYNOSCALE_PUBLISH_FREQUENCY'] = '2.5'
    configure
    assert_equal ['https://a.example/token', 'web.2', 'shop', 'all', 2.5],
                 values(:url, :dyno, :app_name, :dynos, :publish_frequency)
    assert_equal :environment, settings.source(:url)
    assert_nil settings.off_reason
  end

  def test_code_wins_over_the_framework_and_that_over_the_environment
    ENV['DYNO'] = 'web.3'
    ENV['HEROKU_APP_NAME'] = 'environment'
    DynoscaleRuby.framework_settings = { dyno: 'web.2', publish_frequency: 20 }
    DynoscaleRuby.configure { |c| c.dyno = 'web.1' }
    assert_equal %w[web.1 environment], [settings.dyno, settings.app_name]
    sources = %i[dyno publish_frequency app_name url].map { |name| settings.source(name) }
    assert_equal %i[code framework environment default], sources
    DynoscaleRuby.configure { |c| c.dyno = nil }
    assert_equal 'web.2', settings.dyno
  ensure
    DynoscaleRuby.framework_settings = { dyno: nil, publish_frequency: nil }
  end

  def test_a_setting_from_an_earlier_call_stays_until_nil_removes_it
    DynoscaleRuby.configure { |c| c.dyno = 'web.1' }
    DynoscaleRuby.configure { |c| c.app_name = 'shop' }
    assert_equal %w[web.1 shop], [settings.dyno, settings.app_name]
    DynoscaleRuby.configure { |c| c.dyno = nil }
    assert_equal [nil, 'shop'], [settings.dyno, settings.app_name]
  end

  def test_the_current_settings_can_be_read_inside_the_block
    ENV['DYNO'] = 'web.7'
    DynoscaleRuby.configure do |c|
      assert_equal 'web.7', c.dyno
      c.dyno = 'web.8'
      assert_equal 'web.8', c.dyno
    end
  end

  def test_an_exception_of_the_block_is_the_apps_and_changes_nothing
    configure(dyno: 'web.1')
    assert_raises(IOError) do
      DynoscaleRuby.configure { |c| (c.dyno = 'web.9') && raise(IOError) }
    end
    assert_equal 'web.1', settings.dyno
  end

  def test_values_of_rubys_own_types_are_understood
    configure(url: URI('https://a.example/token'), dyno: :'web.1', skip: false, dev_mode: true,
              publish_frequency: 10.0, dynos: :all, log_level: Logger::ERROR)
    assert_empty settings.warnings
    assert_equal ['https://a.example/token', 'web.1', false, true, 10, 'all', 'error'],
                 values(:url, :dyno, :skip, :dev_mode, :publish_frequency, :dynos, :log_level)
    configure(publish_frequency: 90)
    assert_equal 90, settings.publish_frequency
  end

  # Has no methods at all.
  class Unprintable < BasicObject
  end

  # Can't be asked for its text.
  class Shy
    def to_s = raise('no')
    alias inspect to_s
    alias to_str to_s
  end

  {
    array: ['web.1'], hash: { url: 'x' }, object: Object.new, nameless: Class.new.new, class: IO,
    proc: -> {}, object_without_text: Shy.new, basic_object: Unprintable.new
  }.each do |type, value|
    Settings::TABLE.each_key do |name|
      next if type == :array && name == :job_queues # which may be a list

      define_method(:"test_#{name}_as_#{type}_is_one_warning") do
        assert_match(/\A\[dynoscale\] #{name} is an? .*, not text.*: using .+ instead\z/,
                     warning_about(name, value))
      end
    end
  end

  {
    publish_frequency: ['0', 0, 3601, -1, 'soon', true, Float::NAN, Float::INFINITY, 10**400, '1e',
                        '1_0', "1\n", "\xFF", 'x' * 100_000],
    dynos: %w[second firstall],
    log_level: ['loud', 4, -1, 1.5, true],
    dyno: ["web.1\r\nX-Evil: 1", 'web 1', 'x' * 1000, "web\0", 'wéb.1'],
    app_name: ["a\nb", 'x' * 1000],
    url: ['ftp://a.example/token', 'a.example', 'http://', 5, true, "http://a.example/\r\n",
          'x' * 100_000]
  }.each do |name, values|
    values.each do |value|
      define_method(:"test_#{name}_as_#{value.inspect[0, 40]}_is_one_warning_that_names_it") do
        assert_includes warning_about(name, value), "[dynoscale] #{name} is "
      end
    end
  end

  def test_a_wrong_variable_is_one_warning_that_names_it_and_the_default_holds
    ENV['DYNOSCALE_PUBLISH_FREQUENCY'] = 'soon'
    configure
    assert_equal ['[dynoscale] DYNOSCALE_PUBLISH_FREQUENCY is "soon", which is not a number from ' \
                  '1 to 3600: using 30 instead'], @logger.warnings
    assert_equal 30, settings.publish_frequency
  end

  def test_a_warning_is_not_repeated_by_the_next_call
    configure(publish_frequency: 'soon')
    DynoscaleRuby.configure { |c| c.dyno = 'web.1' }
    assert_equal 1, @logger.warnings.size
  end

  def test_a_setting_that_is_not_there_is_one_warning
    DynoscaleRuby.configure { |c| c.publish_frequenzy = 5 }
    assert_equal ['[dynoscale] there is no setting "publish_frequenzy": it is ignored'],
                 @logger.warnings
    assert_raises(NoMethodError) { DynoscaleRuby.configure(&:publish_frequenzy) }
  end

  def test_an_unusable_logger_is_one_warning_and_not_used
    _out, err = capture_io do
      [5, 'x', Object.new, Unprintable.new].each { |logger| configure(logger: logger) }
    end
    assert_equal 4, err.lines.size
    err.each_line { |line| assert_match(/logger is an? \w+.*, which has no methods debug/, line) }
  end

  def test_the_reason_for_being_off_is_shown
    {
      { skip: true } => /SKIP_DYNOSCALE_AGENT/,
      {} => /DYNOSCALE_URL is not set/,
      { url: 'ftp://x' } => /not an http or https address/,
      { url: 'https://a.example/t' } => /DYNO is not set/,
      { url: 'https://a.example/t', dyno: 'run.1' } => /one-off/,
      { url: 'https://a.example/t', dyno: 'web.2' } => /only the first dyno/
    }.each do |values, reason|
      configure(**values)
      assert_match reason, settings.off_reason
    end
    configure(url: 'https://a.example/t', dyno: 'web.2', dynos: 'all')
    assert_nil settings.off_reason
  end

  def test_secrets_are_not_shown
    token = 's3cr3t'
    configure(url: "https://user:#{token}@a.example/#{token}/x?#{token}", dyno: 'web.1',
              log_level: 'debug')
    shown = [settings.inspect, settings.to_s, capture_io { pp settings }.first,
             settings.shown(:url), @logger.lines.inspect].join
    refute_includes shown, token
    assert_includes shown, 'a.example'
    configure(url: "ftp://a.example/#{token}", log_level: 'debug')
    refute_includes settings.inspect + @logger.lines.inspect, token
  end

  def test_inspect_shows_values_sources_and_why_the_agent_is_off
    ENV['DYNO'] = 'web.2'
    configure(url: 'https://a.example/token')
    text = settings.inspect
    assert_match(/url=\S*a\.example\S* \(code\), dyno=web\.2 \(environment\), app_name=none/, text)
    assert_match(/publish_frequency=30 \(default\)/, text)
    assert_match(/; off: only the first dyno/, text)
    configure(url: 'https://a.example/token', dyno: 'web.1')
    assert_match(/; on>\z/, settings.inspect)
  end

  def test_settings_are_no_other_object_and_a_shell_is_harmless
    assert_raises(NoMethodError) { settings.dup }
    assert_raises(TypeError) { DynoscaleRuby::Agent.open(Object.new) }
    assert_raises(TypeError) { Marshal.dump(settings) }
    assert_kind_of String, Settings.allocate.inspect
    assert_raises(ArgumentError) { settings.source(:nothing) }
  end

  def test_a_signals_handler_may_give_settings
    failure = nil
    before = trap(:USR2) do
      DynoscaleRuby.configure { |c| c.publish_frequency = 7 }
    rescue Exception => e # rubocop:disable Lint/RescueException
      failure = e
    end
    Process.kill(:USR2, Process.pid)
    wait_until('they are in force') { failure || settings.publish_frequency == 7 }
    assert_nil failure
  ensure
    trap(:USR2, before || 'DEFAULT')
  end

  def test_many_settings_and_warnings_leave_nothing_behind
    configure
    1000.times { |i| DynoscaleRuby.configure { |c| c.publish_frequency = "x#{i}" } }
    assert_operator settings.warnings.size, :<=, 16
    assert_equal 1000, @logger.warnings.size
  end
end
