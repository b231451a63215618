# frozen_string_literal: true

require 'test_helper'
require 'stringio'

# A request is counted once, however many middlewares of ours it passes.
class CountedOnceTest < DynoscaleTests::AgentTest
  MARK = 'dynoscale.counted'

  def setup
    super
    start_agent
  end

  def nested(app = DynoscaleTests::APP)
    DynoscaleRuby::Middleware.new(DynoscaleRuby::Middleware.new(DynoscaleRuby::Middleware.new(app)))
  end

  def test_a_request_through_three_of_them_is_counted_once
    assert_same DynoscaleTests::ANSWER, nested.call({ 'HTTP_X_REQUEST_START' => stamp(1) })
    assert_equal :recorded, outcome
  end

  def test_a_request_without_a_stamp_is_counted_once
    nested.call({})
    assert_equal :missing, outcome
  end

  def test_a_copied_env_is_recognised
    inner = DynoscaleRuby::Middleware.new(DynoscaleTests::APP)
    outer = DynoscaleRuby::Middleware.new(->(env) { inner.call(env.merge('x' => 'y')) })
    outer.call({ 'HTTP_X_REQUEST_START' => stamp(1) })
    assert_equal :recorded, outcome
  end

  def test_the_env_is_left_as_it_was
    env = { 'HTTP_X_REQUEST_START' => stamp(1) }
    nested.call(env)
    assert_equal ['HTTP_X_REQUEST_START'], env.keys
    assert_raises(IOError) { nested(->(_) { raise IOError }).call(env) }
    assert_equal ['HTTP_X_REQUEST_START'], env.keys
  end

  def test_an_env_that_a_server_uses_again_is_a_request_each_time
    app = nested
    env = { 'HTTP_X_REQUEST_START' => stamp(1) }
    3.times { app.call(env) }
    DynoscaleRuby::Middleware.new(DynoscaleTests::APP).call(env)
    assert_equal 4, stats[:recorded]
  end

  # As a server makes it.
  def request_env(**more)
    { 'REQUEST_METHOD' => 'GET', 'rack.input' => StringIO.new, 'HTTP_X_REQUEST_START' => stamp(1) }
      .merge(more.transform_keys(&:to_s))
  end

  # A middleware further out calls the app again, with the same env or copies of it.
  {
    'a_retry' => ->(app, env) { 2.times { app.call(env) } },
    'a_forward' => ->(app, env) { 2.times { |i| app.call(env.merge('PATH_INFO' => "/#{i}")) } },
    'a_batch' => ->(app, env) { Array.new(5) { |i| Thread.new { app.call(env.merge('x' => i)) } }.each(&:join) },
    'a_retry_after_an_exception' => lambda do |app, env|
      app.call(env.merge('fail' => true))
    rescue IOError
      app.call(env)
    end
  }.each do |name, outer|
    define_method(:"test_#{name}_of_a_request_is_counted_once_with_the_first_time") do
      app = DynoscaleRuby::Middleware.new(->(env) { env['fail'] ? raise(IOError) : sleep(0.2) })
      started = stamp(1)
      outer.call(app, request_env(HTTP_X_REQUEST_START: started))
      assert_equal :recorded, outcome
      assert_flushed
      assert_equal 1, metrics.size
      outer.call(app, request_env(HTTP_X_REQUEST_START: nil, HTTP_X_QUEUE_START: stamp(1)))
      assert_equal 2, stats[:recorded]
    end
  end

  def test_the_first_queue_time_is_shown_when_a_request_comes_again
    start_agent(queue_time: true)
    seen = []
    app = DynoscaleRuby::Middleware.new(->(env) { seen << env['dynoscale.queue_time_ms'] })
    env = request_env(HTTP_X_REQUEST_START: stamp(3000))
    app.call(env.dup)
    sleep 0.01
    app.call(env.dup)
    assert_equal 1, seen.uniq.size
    assert_operator seen.first, :>=, 3000
  end

  def test_an_unusable_stamp_that_comes_again_is_counted_once
    app = DynoscaleRuby::Middleware.new(DynoscaleTests::APP)
    env = request_env(HTTP_X_REQUEST_START: +'nonsense')
    2.times { app.call(env) }
    assert_equal :malformed, outcome
  end

  # While garbage is collected all the time, and moved.
  def test_requests_whose_stamps_reuse_memory_are_all_counted
    app = DynoscaleRuby::Middleware.new(DynoscaleTests::APP)
    3_000.times do |i|
      app.call(request_env)
      GC.start if (i % 300).zero?
      GC.compact if (i % 1000).zero? && GC.respond_to?(:compact)
    end
    assert_equal 3_000, stats[:recorded]
  end

  def test_an_env_that_is_frozen_or_not_a_hash_reaches_the_app
    frozen = { 'HTTP_X_REQUEST_START' => stamp(1) }.freeze
    assert_same DynoscaleTests::ANSWER, nested.call(frozen)
    assert_same DynoscaleTests::ANSWER, nested.call(nil)
  end

  # Ruby asks all keys for their hash when a ninth one, which the mark is, makes a Hash a large one.
  def call_with_a_key_that(&does)
    env = { 'HTTP_X_REQUEST_START' => stamp(1) }.merge!((1..6).to_h { |i| ["x#{i}", i] })
    env[key = Object.new] = true
    key.define_singleton_method(:hash) do
      once = does
      does = nil
      once&.call
      super()
    end
    assert_same DynoscaleTests::ANSWER, nested.call(env)
    assert_nil does, 'it was asked'
    assert_equal 8, env.size
  end

  def test_an_agent_that_ends_while_the_env_is_marked_is_not_used_again
    call_with_a_key_that { configure(url: '') }
    start_agent
    call_with_a_key_that { start_agent(publish_frequency: 7) }
    assert_equal :recorded, outcome
  end

  def test_an_env_that_the_app_freezes_is_left_alone_from_then_on
    env = { 'x' => 'y' }
    assert_same env, nested(lambda(&:freeze)).call(env)
    assert_equal ['x', MARK], env.keys
  end

  def test_the_exception_that_ends_the_process_stays_what_it_was
    result = DynoscaleTests::Script.ruby(<<~'RUBY', env: DynoscaleTests::Script.environment(url))
      app = DynoscaleRuby::Middleware.new(DynoscaleRuby::Middleware.new(->(_) { }))
      at_exit { app.call({}.freeze); print $!.class }
      raise IOError
    RUBY
    assert_equal 'IOError', result.out
  end

  def test_an_app_that_is_going_through_the_env_hears_nothing_of_it
    app = nested
    env = { 'HTTP_X_REQUEST_START' => stamp(1) }
    env.each_key { assert_same DynoscaleTests::ANSWER, app.call(env) }
  end

  def test_a_single_middleware_marks_nothing_and_a_freed_second_one_does_not_count
    result = DynoscaleTests::Script.ruby(<<~'RUBY', env: DynoscaleTests::Script.environment(url))
      seen = []
      app = DynoscaleRuby::Middleware.new(->(env) { seen << env.key?('dynoscale.counted') })
      app.call({})
      Thread.new { DynoscaleRuby::Middleware.new(nil) }.join
      app.call({})
      GC.start
      app.call({})
      p seen
    RUBY
    assert_equal ["[false, true, false]\n", ''], [result.out, result.err]
  end
end
