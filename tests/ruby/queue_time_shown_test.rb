# frozen_string_literal: true

require 'test_helper'
require 'rack'

# The settings queue_time and server_timing: the app and the browser get the queue time.
class QueueTimeToldTest < DynoscaleTests::AgentTest
  KEY = 'dynoscale.queue_time_ms'
  HEADER = 'server-timing'
  START = 'HTTP_X_REQUEST_START'

  # What the app finds in its env and what the server gets, for an app that answers so.
  def call(env, answer = [200, {}, ['ok']])
    seen = nil
    app = lambda do |given|
      seen = given.dup
      answer
    end
    given = DynoscaleRuby::Middleware.new(app).call(env)
    [seen, given]
  end

  def entry(answer)
    answer[1][HEADER]
  end

  def assert_entry(range, text)
    assert_match(/\Aqueue;dur=\d+\z/, text)
    assert_includes range, text[/\d+/].to_i
  end

  def test_both_are_off_unless_asked_for
    start_agent
    answer = [200, {}, ['ok']].freeze
    seen, given = call({ START => stamp(250) }, answer)
    refute seen.key?(KEY)
    assert_same answer, given
    refute DynoscaleRuby.settings.queue_time
    refute DynoscaleRuby.settings.server_timing
  end

  def test_the_app_gets_the_reported_queue_time
    start_agent(queue_time: true)
    env = { START => stamp(5000), 'puma.request_body_wait' => 2000 }
    answer = [200, {}, []].freeze
    seen, given = call(env, answer)
    assert_same answer, given
    assert_instance_of Integer, seen[KEY]
    assert_includes 3000..5000, seen[KEY]
    assert_flushed
    assert_equal [seen[KEY]], metrics
  end

  def test_without_a_sample_there_is_nothing
    start_agent(queue_time: true, server_timing: true)
    [{}, { START => 'x' }, { START => '1' }, { START => stamp(900_000) }, { START => stamp(-9000) }]
      .each do |env|
        answer = [200, {}.freeze, []].freeze
        seen, given = call(env, answer)
        refute seen.key?(KEY)
        assert_same answer, given
      end
  end

  def test_an_env_used_again_does_not_keep_the_last_requests
    start_agent(queue_time: true)
    env = { START => stamp(250) }
    assert call(env).first.key?(KEY)
    env.delete(START)
    refute call(env).first.key?(KEY)
  end

  def test_nothing_is_shown_while_the_agent_is_off
    configure(skip: true, queue_time: true, server_timing: true)
    seen, given = call({ START => stamp(250) })
    refute seen.key?(KEY)
    assert_nil entry(given)
  end

  def test_an_env_that_takes_nothing_reaches_the_app_and_counts
    start_agent(queue_time: true, server_timing: true)
    frozen = { START => stamp(250) }.freeze
    seen, given = call(frozen)
    refute seen.key?(KEY)
    assert_entry 250..2250, entry(given)
    env = { START => stamp(250) }
    env.each_key { call(env) }
    assert_equal [START], env.keys
    [nil, 5, [], Object.new].each { |odd| assert_equal 200, call(odd).last[0] }
    assert_equal 2, stats[:recorded]
  end

  def test_the_browser_gets_the_reported_queue_time
    start_agent(server_timing: true)
    seen, given = call({ START => stamp(250) })
    refute seen.key?(KEY)
    assert_flushed
    assert_equal "queue;dur=#{metrics.first}", entry(given)
  end

  def test_both_settings_work_together
    start_agent(queue_time: 'on', server_timing: 'on')
    seen, given = call({ START => stamp(250) })
    assert_equal "queue;dur=#{seen[KEY]}", entry(given)
  end

  def test_the_apps_own_value_is_kept_whatever_its_name_looks_like
    start_agent(server_timing: true)
    %w[server-timing Server-Timing SERVER-TIMING].each do |name|
      answer = [200, { 'x' => 'y', name => 'db;dur=5' }, []]
      headers = call({ START => stamp(0) }, answer).last[1]
      assert_equal ['x', name], headers.keys
      assert_match(/\Adb;dur=5, queue;dur=\d+\z/, headers[name])
    end
  end

  def test_several_values_of_the_apps_are_kept
    start_agent(server_timing: true)
    headers = call({ START => stamp(0) }, [200, { HEADER => %w[a b].freeze }, []]).last[1]
    assert_equal %w[a b], headers[HEADER].first(2)
    assert_match(/\Aqueue;dur=\d+\z/, headers[HEADER].last)
    headers = call({ START => stamp(0) }, [200, { HEADER => "a\nb" }, []]).last[1]
    assert_match(/\Aa\nb, queue;dur=\d+\z/, headers[HEADER])
    assert_entry 0..2000, entry(call({ START => stamp(0) }, [200, { HEADER => '' }, []]).last)
  end

  def test_the_app_s_answer_is_not_changed
    start_agent(server_timing: true)
    answer = [200, { 'x' => 'y' }, ['ok']]
    3.times { assert_entry 0..2000, entry(call({ START => stamp(0) }, answer).last) }
    assert_equal [200, { 'x' => 'y' }, ['ok']], answer
    body = Object.new
    given = call({ START => stamp(0) }, [200, { 'x' => 'y' }.freeze, body].freeze).last
    assert_equal [200, 'y'], [given[0], given[1]['x']]
    assert_same body, given[2]
    assert_entry 0..2000, entry(given)
  end

  def test_racks_own_kinds_of_hashes_stay_what_they_are
    start_agent(server_timing: true)
    kinds = %w[Rack::Headers Rack::Utils::HeaderHash].select { |name| Object.const_defined?(name) }
    refute_empty kinds
    kinds.map { |name| Object.const_get(name) }.each do |kind|
      [kind[{ 'Server-Timing' => 'a' }], kind[{ 'Server-Timing' => 'a' }].freeze].each do |headers|
        given = call({ START => stamp(0) }, [200, headers, []]).last[1]
        assert_instance_of kind, given
        assert_equal 1, given.size
        assert_match(/\Aa, queue;dur=\d+\z/, given['SERVER-TIMING'])
      end
    end
  end

  def test_other_answers_pass_untouched
    start_agent(server_timing: true)
    [nil, 5, [], [200], [200, nil, []], [200, [%w[a b]], []], [-1, {}, []], [101, {}, []],
     [Object.new, {}, []], DynoscaleTests::ANSWER.each].each do |answer|
      assert_same answer, call({ START => stamp(0) }, answer).last if answer
      assert_nil call({ START => stamp(0) }, answer).last unless answer
    end
  end

  def test_headers_that_fail_to_be_copied_pass_untouched
    start_agent(server_timing: true)
    headers = Class.new(Hash) { def initialize_copy(_) = raise('no') }.new
    answer = [200, headers, []]
    assert_same answer, call({ START => stamp(0) }, answer).last
  end

  def test_an_exception_of_the_app_passes_untouched
    start_agent(queue_time: true, server_timing: true)
    assert_raises(IOError) do
      DynoscaleRuby::Middleware.new(->(_) { raise IOError }).call({ START => stamp(0) })
    end
    assert_equal 1, stats[:recorded]
  end

  def test_several_middlewares_show_it_once
    start_agent(queue_time: true, server_timing: true)
    seen = nil
    inner = DynoscaleRuby::Middleware.new(->(env) { (seen = env.dup) && [200, {}, []] })
    given = DynoscaleRuby::Middleware.new(inner).call({ START => stamp(250) })
    assert_equal "queue;dur=#{seen[KEY]}", entry(given)
    assert_equal 1, stats[:recorded]
  end

  def test_a_stack_that_rack_lint_watches_has_no_complaint
    start_agent(queue_time: true, server_timing: true)
    app = Rack::Builder.app do
      use Rack::Lint
      use DynoscaleRuby::Middleware
      use Rack::Lint
      run ->(env) { [200, { 'content-type' => 'text/plain' }, [env[KEY].to_s]] }
    end
    answer = Rack::MockRequest.new(app).get('/', START => stamp(250), :lint => true)
    assert_equal "queue;dur=#{answer.body}", answer.headers[HEADER]
  end

  def test_a_new_configuration_starts_or_stops_showing_the_queue_time
    start_agent
    app = DynoscaleRuby::Middleware.new(->(_) { [200, {}, []] })
    told = [true, false].map do |on|
      configure(url: url, dyno: 'web.1', server_timing: on)
      entry(app.call({ START => stamp(0) }))
    end
    assert_entry 0..2000, told[0]
    assert_nil told[1]
  end

  def test_it_works_in_a_ractor_and_under_garbage_collection
    environment = DynoscaleTests::Script.environment(url, DYNOSCALE_QUEUE_TIME: 'on',
                                                          DYNOSCALE_SERVER_TIMING: 'on')
    result = DynoscaleTests::Script.ruby(<<~'RUBY', env: environment)
      Warning[:experimental] = false
      work = proc do
        app = DynoscaleRuby::Middleware.new(->(env) { [200, {}, [env['dynoscale.queue_time_ms']]] })
        start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i.to_s
        GC.stress = true
        answer = app.call({ 'HTTP_X_REQUEST_START' => start })
        GC.stress = false
        answer[1]['server-timing'] == "queue;dur=#{answer[2][0]}"
      end
      ractor = Ractor.new(&work)
      p work.call, ractor.respond_to?(:value) ? ractor.value : ractor.take
    RUBY
    assert_equal ["true\ntrue\n", ''], [result.out, result.err]
  end
end
