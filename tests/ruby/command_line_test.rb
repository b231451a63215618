# frozen_string_literal: true

require 'test_helper'
require 'json'
require 'pty'
require 'tmpdir'

# `dynoscale`, the gem's program, in every kind of trouble.
class CommandLineTest < DynoscaleTests::AgentTest
  Script = DynoscaleTests::Script
  PROGRAM = File.join(DynoscaleTests::ROOT, 'ruby/exe/dynoscale')
  RUBY = [RbConfig.ruby, '-w', "-I#{Script::LIBRARY}", PROGRAM].freeze
  CHECKS = %w[version settings reporting name connection tls service clock stamp].freeze
  SECRET = 's3cret'
  CERTIFICATES = File.join(DynoscaleTests::ROOT, 'tests/support')

  def environment(url = receiver.url, **more)
    Script.environment("#{url}/#{SECRET}", **more).compact
  end

  def run_program(*arguments, env: environment)
    result = Script.command(*RUBY, *arguments, env: env)
    refute_includes result.out + result.err, SECRET
    refute_includes result.out + result.err, "\e["
    result
  end

  # The findings by check; of several the last one.
  def examine(*arguments, env: environment)
    result = run_program('doctor', '--json', *arguments, env: env)
    assert_equal '', result.err
    json = JSON.parse(result.out)
    assert_schema json
    assert_equal json['well'] ? 0 : 1, result.status.exitstatus
    json['findings'].to_h { |finding| [finding['check'], finding] }
  end

  def assert_schema(json)
    assert_equal %w[language version well verdict findings], json.keys
    assert_equal ['ruby', DynoscaleRuby::VERSION], json.values_at('language', 'version')
    assert_equal(CHECKS, json['findings'].map { |finding| finding['check'] }.uniq)
    json['findings'].each do |finding|
      assert_equal %w[check health text remedy], finding.keys.first(4)
      assert_empty finding.keys.drop(4) - %w[ms status offset_ms queue_time_ms]
      assert_equal %w[warn fail].include?(finding['health']), !finding['remedy'].nil?
    end
    assert_equal(json['well'], json['findings'].all? { |finding| finding['remedy'].nil? })
  end

  def assert_finding(check, health, text, findings)
    assert_equal [check, health], findings[check].values_at('check', 'health'), findings
    assert_includes findings[check]['text'], text
  end

  # ---- All is well

  def test_all_is_well
    receiver.behave('ok', checks: true)
    result = run_program('doctor')
    assert_equal ['', 0], [result.err, result.status.exitstatus], result.out
    assert_includes result.out, "dynoscale #{DynoscaleRuby::VERSION} for Ruby #{RUBY_VERSION}\n"
    assert_equal "All is well.\n", result.out.lines.last
    report = receiver.reports.first
    assert_equal ['', nil], report.values_at('body', 'error')
    assert_equal "dynoscale-ruby;#{DynoscaleRuby::VERSION}", report['headers']['user-agent']
    assert_empty receiver.rows
  end

  def test_it_neither_starts_nor_locks_nor_sends_anything_of_the_agents
    skip 'there is no /proc' unless File.directory?('/proc/self/task')
    receiver.behave('ok', checks: true)
    Dir.mktmpdir do |directory|
      result = Script.ruby(<<~'RUBY', env: environment(TMPDIR: directory))
        require 'dynoscale_ruby/cli'
        p DynoscaleRuby::CLI.new(out: File.open(File::NULL, 'w')).run(['doctor'])
        p Dir['/proc/self/task/*/comm'].map { |file| File.read(file).chomp }.include?('dynoscale')
        p DynoscaleRuby::Agent.opened?, DynoscaleRuby.stats.values.uniq
      RUBY
      assert_equal ["0\nfalse\nfalse\n[0]\n", ''], [result.out, result.err]
      assert_empty Dir.children(directory)
    end
    assert_equal 1, receiver.reports.size
  end

  # ---- Trouble on the way

  def test_a_name_that_does_not_exist
    findings = examine(env: environment('https://no-such-host.invalid'))
    assert_finding 'name', 'fail', 'no-such-host.invalid', findings
    assert_equal %w[skip], findings.values_at('connection', 'tls', 'service', 'clock')
                                   .map { |finding| finding['health'] }.uniq
  end

  def test_a_connection_refused
    findings = examine(env: environment('https://127.0.0.1:1'))
    assert_finding 'connection', 'fail', 'connect to 127.0.0.1', findings
    # As older versions of libcurl have it, and newer ones.
    assert_match(/127\.0\.0\.1( port |:)1\b/, findings['connection']['text'])
  end

  def test_certificates
    skip 'openssl is not installed' unless system('openssl version', out: File::NULL)
    Dir.mktmpdir do |directory|
      make_certificates(directory)
      { 'valid' => 'ok', 'wrong_host' => 'fail', 'self_signed' => 'fail', 'expired' => 'fail' }
        .each do |kind, health|
          pair = %w[pem key].map { |kind_of_file| "#{directory}/#{kind}.#{kind_of_file}" }
          tls = DynoscaleTests::Receiver.new('--tls', *pair)
          tls.behave('ok', checks: true)
          env = environment(tls.url, SSL_CERT_FILE: "#{directory}/authority.pem")
          assert_finding 'tls', health, '', examine(env: env)
          tls.stop
        end
    end
  end

  def make_certificates(directory)
    code = "import sys; sys.path.insert(0, #{CERTIFICATES.inspect}); import certificates; " \
           "certificates.make_certificates(#{directory.inspect})"
    assert Script.command(ENV.fetch('PYTHON', 'python3'), '-c', code).status.success?
  end

  def test_answers_that_are_no_success
    { 401 => %w[fail token], 404 => %w[fail token], 500 => %w[fail trouble],
      400 => ['warn', 'without samples'] }.each do |status, (health, text)|
      receiver.behave('status', status: status)
      findings = examine
      assert_finding 'service', health, text, findings
      assert_equal status, findings['service']['status']
    end
  end

  def test_a_service_that_stalls
    receiver.behave('stall')
    assert_finding 'service', 'fail', 'does not answer', examine('--timeout', '0.3')
  end

  def test_a_clock_that_is_an_hour_off
    { 3600 => 'stamp_future', -3600 => 'stamp_stale' }.each do |seconds, text|
      date = (Time.now + seconds).utc.strftime('%a, %d %b %Y %H:%M:%S GMT')
      receiver.behave('ok', checks: true, headers: { Date: date })
      findings = examine
      assert_finding 'clock', 'fail', text, findings
      assert_in_delta(-seconds * 1000, findings['clock']['offset_ms'], 60_000)
    end
  end

  def test_a_proxys_password_is_not_shown
    ["http://user:#{SECRET}@127.0.0.1:1", "http://user:#{SECRET}@proxy:port"].each do |proxy|
      findings = examine(env: environment('https://service.example', https_proxy: proxy))
      assert_includes findings.values.map { |finding| finding['health'] }, 'fail'
    end
  end

  # ---- Off

  def test_an_agent_that_is_off
    receiver.behave('ok', checks: true)
    { DYNO: ['', 'fail', 'DYNO is not set'], DYNOSCALE_URL: ['', 'fail', 'DYNOSCALE_URL is not'],
      SKIP_DYNOSCALE_AGENT: ['1', 'fail', 'SKIP_DYNOSCALE_AGENT is set'] }
      .each do |name, (value, health, text)|
        findings = examine(env: environment.merge(name.to_s => value))
        assert_finding 'reporting', health, text, findings
        assert_equal name == :DYNOSCALE_URL ? 'skip' : 'ok', findings['service']['health']
      end
    assert_finding 'reporting', 'warn', 'one-off', examine(env: environment(DYNO: 'run.1'))
  end

  def test_settings_are_shown_with_their_source_and_their_warnings
    receiver.behave('ok', checks: true)
    result = run_program('doctor', env: environment(DYNOSCALE_DYNOS: 'none'))
    assert_includes result.out, '/[hidden], from the environment'
    assert_match(/^warn  settings    DYNOSCALE_DYNOS is "none"/, result.out)
    assert_equal "1 thing to mend.\n", result.out.lines.last
  end

  def test_a_value_with_odd_bytes_is_printed_and_does_not_move_the_cursor
    receiver.behave('ok', checks: true)
    odd = "a\e[31m\xFF\xE2\x82#{'€' * 300}"
    %w[C C.UTF-8].each do |locale|
      env = environment(DYNOSCALE_JOB_QUEUES: odd, LC_ALL: locale)
      result = run_program('doctor', env: env)
      assert_includes result.out.b, 'a?[31m'
      assert_equal '', result.err
      examine(env: env)
    end
  end

  # ---- The terminal

  def in_terminal(**more)
    env = ENV.slice(*Script::KEPT).merge(environment(**more))
    PTY.spawn(env, *RUBY, 'doctor', unsetenv_others: true) do |output, _input, pid|
      text = +''
      begin
        loop { text << output.readpartial(4096) }
      rescue EOFError, Errno::EIO
        Process.wait(pid)
        return text
      end
    end
  end

  def test_colours_are_for_terminals_that_want_them
    receiver.behave('ok', checks: true)
    assert_includes in_terminal(TERM: 'xterm'), "\e[32mok    \e[0mservice"
    refute_includes in_terminal(TERM: 'xterm', NO_COLOR: '1'), "\e["
    refute_includes in_terminal(TERM: 'dumb'), "\e["
  end

  def test_an_interrupt_ends_it_at_once_and_without_a_trace
    receiver.behave('stall')
    read, write = IO.pipe
    env = ENV.slice(*Script::KEPT).merge(environment)
    pid = Process.spawn(env, *RUBY, 'doctor', unsetenv_others: true, %i[out err] => write)
    write.close
    receiver.wait(reports: 1, seconds: 30)
    Process.kill(:INT, pid)
    status = Script.wait(pid, 10) # the time-out of a report is longer
    assert_equal 130, status.exitstatus
    text = read.read
    assert_includes text, 'reporting'
    refute_match(/service|Interrupt|rb:\d/, text)
  end

  def test_findings_are_printed_as_they_come
    receiver.behave('stall')
    seen = +''
    env = ENV.slice(*Script::KEPT).merge(environment)
    IO.popen(env, [*RUBY, 'doctor'], unsetenv_others: true) do |output|
      seen << output.readpartial(4096) until seen.include?('reporting')
      Process.kill(:KILL, output.pid)
    end
    refute_includes seen, 'service'
  end

  def test_a_reader_that_has_seen_enough_is_no_error
    receiver.behave('ok', checks: true)
    read, write = IO.pipe
    read.close
    env = ENV.slice(*Script::KEPT).merge(environment)
    Dir.mktmpdir do |directory|
      [[], %w[--json]].each do |options|
        pid = Process.spawn(env, *RUBY, 'doctor', *options, out: write, err: "#{directory}/err")
        assert_equal 1, Script.wait(pid, 60).exitstatus
        assert_equal '', File.read("#{directory}/err")
      end
    end
  end

  # ---- Arguments

  def test_wrong_usage_is_one_line
    [[], %w[stats], %w[--nonsense], %w[doctor more], %w[doctor --nonsense], %w[doctor --jso],
     %w[doctor --url], %w[doctor --url localhost:3000], %w[doctor --timeout 0],
     %w[doctor --timeout 61], %w[doctor --timeout long]].each do |arguments|
      result = run_program(*arguments)
      assert_equal [2, ''], [result.status.exitstatus, result.out], arguments
      assert_match(/\Adynoscale.*; see dynoscale.* --help\n\z/, result.err)
    end
  end

  def test_the_version
    assert_equal "dynoscale_ruby #{DynoscaleRuby::VERSION}\n", run_program('--version').out
  end

  def test_help_lists_all_settings_and_their_precedence
    [%w[--help], %w[doctor --help]].each do |arguments|
      result = run_program(*arguments)
      assert_equal ['', 0], [result.err, result.status.exitstatus]
      assert_includes result.out, DynoscaleRuby::Doctor::TEXTS[:settings]
      DynoscaleRuby::Settings::TABLE.each do |name, row|
        lines = ["  #{row[:variable]}  (in code: #{name})", row[:meaning], "default: #{row[:standard]}"]
        assert_includes result.out, "#{lines.join("\n      ")}\n"
      end
      assert_includes result.out, "Code wins over a framework's configuration"
    end
  end

  # ---- The class behind it

  def test_a_doctor_is_one_of_a_kind
    klass = DynoscaleRuby::Doctor
    assert_raises(ArgumentError) { klass.allocate.next }
    assert_raises(TypeError) { klass.new({}, 'Ruby', nil, 0) }
    doctor = klass.new(DynoscaleRuby::Settings.new, 'Ruby', nil, 0)
    assert_raises(ArgumentError) { doctor.send(:initialize, DynoscaleRuby::Settings.new, '', nil, 0) }
    assert_raises(NoMethodError) { doctor.dup }
  end

  def test_a_doctor_that_several_threads_ask_answers_each_in_turn
    settings = DynoscaleRuby::Settings.new
    settings.url = url
    settings.dyno = 'web.1'
    20.times do
      doctor = DynoscaleRuby::Doctor.new(settings, 'Ruby', "#{receiver.url}/", 20_000)
      found = Array.new(8) { Thread.new { Array.new(12) { (doctor.next if doctor.verdict) } } }.flat_map(&:value)
      assert_equal 9, found.compact.map(&:first).uniq.size
    end
  end
end
