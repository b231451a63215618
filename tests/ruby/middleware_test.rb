# frozen_string_literal: true

require 'test_helper'
require 'objspace'
require 'rack'

# A request, whatever it and the app are like.
class MiddlewareTest < DynoscaleTests::AgentTest
  # Every method raises, those that conversions use in particular.
  class Hostile < BasicObject
    def method_missing(*)
      ::Kernel.raise 'the agent must not ask'
    end

    def ==(*) = ::Kernel.raise('the agent must not ask')
    def !(*) = ::Kernel.raise('the agent must not ask')
    def respond_to_missing?(*) = true
  end

  START = 'HTTP_X_REQUEST_START'
  QUEUE_START = 'HTTP_X_QUEUE_START'
  BODY_WAIT = 'puma.request_body_wait'
  FILLING = (1..30).to_h { |i| ["HTTP_X_FILLING_#{i}", 'x'] }.freeze

  def setup
    super
    start_agent
  end

  def call(env)
    assert_same DynoscaleTests::ANSWER, middleware.call(env)
  end

  def test_a_request_becomes_a_row_of_the_report
    before = Time.now.to_i
    call(START => stamp(250))
    assert_flushed
    row, = receiver.rows
    assert_includes 250..2250, row['metric']
    assert_includes before..Time.now.to_i, row['timestamp']
    assert_equal ['web', '', "dynoscale-ruby;#{DynoscaleRuby::VERSION}"],
                 row.values_at('source', 'metadata', 'user_agent')
    assert_equal([nil], receiver.reports.map { |report| report['error'] })
  end

  def test_the_app_gets_the_env_and_the_server_the_answer_untouched
    env = { START => stamp(1), 'x' => 'y' }
    given = nil
    answer = [200, {}, Object.new]
    returned = DynoscaleRuby::Middleware.new(->(e) { (given = e) && answer }).call(env)
    assert_same answer, returned
    assert_same env, given
    assert_equal 'y', env['x']
  end

  def test_an_exception_of_the_app_passes_untouched_and_the_request_counts
    error = Class.new(StandardError).new('mine')
    raised = assert_raises(error.class) do
      DynoscaleRuby::Middleware.new(->(_) { raise error }).call({ START => stamp(1) })
    end
    assert_same error, raised
    assert_equal :recorded, outcome
  end

  def test_a_throw_of_the_app_passes_untouched
    halting = DynoscaleRuby::Middleware.new(->(_) { throw :halt, 7 })
    assert_equal(7, catch(:halt) { halting.call({ START => stamp(1) }) })
  end

  def test_an_app_is_anything_with_a_public_method_call
    assert_same DynoscaleTests::ANSWER,
                DynoscaleRuby::Middleware.new(DynoscaleTests::APP.method(:call)).call({})
    anything = Class.new do
      def method_missing(name, env) = [name, env]
      def respond_to_missing?(*) = true
    end
    env = {}
    assert_equal [:call, env], DynoscaleRuby::Middleware.new(anything.new).call(env)
    hidden = Class.new { private def call(_) = nil }
    assert_raises(NoMethodError) { DynoscaleRuby::Middleware.new(hidden.new).call({}) }
  end

  def test_an_env_that_is_no_hash_reaches_the_app
    [nil, 5, 1.5, :x, 'env', [], Object.new, Hostile.new].each do |env|
      given = nil
      DynoscaleRuby::Middleware.new(->(e) { given = e }).call(env)
      assert env.__id__ == given.__id__
    end
    assert_equal 8, stats[:stamp_missing]
  end

  def test_nil_is_no_value
    call(START => nil, QUEUE_START => nil, BODY_WAIT => nil)
    assert_equal :missing, outcome
  end

  [5, 1_700_000_000_123, 2**80, 1.5, true, false, :'1', [], ['1'], {}, Object].each do |value|
    define_method(:"test_a_stamp_that_is_#{value.inspect}_is_malformed") do
      call(START => value)
      assert_equal :malformed, outcome
    end
  end

  def test_a_hostile_object_is_malformed_and_not_asked
    call(START => Hostile.new, QUEUE_START => Hostile.new, BODY_WAIT => Hostile.new)
    assert_equal :malformed, outcome
  end

  def test_one_usable_header_is_enough
    call(START => 5, QUEUE_START => stamp(300))
    assert_equal :recorded, outcome
  end

  def test_a_header_of_a_megabyte_is_read_in_no_time_to_speak_of
    call(START => 'x' * 1_048_576)
    assert_equal :malformed, outcome
    call(START => "#{',' * 1_048_576}#{stamp(300)}")
    assert_flushed
    assert_includes 300..2300, metrics.first
  end

  def test_text_in_any_encoding_is_read_as_bytes
    [stamp(5).encode('UTF-16LE'), "\xFF\xFE".b, "\xE4".dup.force_encoding('UTF-8')].each do |text|
      call(START => text)
    end
    assert_equal 3, stats[:stamp_malformed]
    call(START => stamp(5).b)
    call(START => stamp(5).encode('ISO-8859-1'))
    assert_equal 2, stats[:recorded]
  end

  def test_keys_in_any_encoding_are_found_in_small_and_large_envs
    [{}, FILLING].each do |filling|
      %w[BINARY UTF-8 US-ASCII].each do |encoding|
        env = filling.dup
        env[START.dup.force_encoding(encoding)] = stamp(2500)
        env[BODY_WAIT.dup.force_encoding(encoding)] = 2000
        call(env)
        env.delete(START)
        env[QUEUE_START.dup.force_encoding(encoding)] = stamp(2500)
        call(env)
      end
    end
    assert_flushed
    assert_equal 12, metrics.size
    assert(metrics.all? { |metric| (500..2499).cover?(metric) }, metrics.inspect)
  end

  def test_other_kinds_of_hashes_are_read_as_well
    call(Class.new(Hash).new.merge!(FILLING, START => stamp(1)))
    call(Hash.new { |*| raise 'the agent must not ask' }.merge!(FILLING, START => stamp(1)))
    call(FILLING.merge(START => stamp(1)).freeze)
    assert_equal 3, stats[:recorded]
    # A String of its own is another key here, whatever stands in it.
    call(FILLING.merge(START => stamp(1)).compare_by_identity.tap { |h| h[+START] = '1' })
    assert_equal 4, stats.values_at(:recorded, :stamp_missing).sum
  end

  def test_a_default_of_the_env_is_not_asked_for
    call(Hash.new { |*| raise 'the agent must not ask' })
    call(Hash.new(stamp(1)))
    assert_equal 2, stats[:stamp_missing]
  end

  def test_keys_of_any_kind_in_the_env_are_not_asked
    hostile_key = Class.new do
      def hash = START.hash
      def eql?(*) = raise('the agent must not ask')
    end
    call(FILLING.merge(hostile_key.new => 1, 5 => 1, nil => 1, START => stamp(1)))
    assert_equal :recorded, outcome
  end

  def test_the_wait_for_the_body_is_taken_off
    call(START => stamp(5000), BODY_WAIT => 2000)
    call(START => stamp(5000), BODY_WAIT => 2000.5)
    call(START => stamp(5000), BODY_WAIT => 9000)
    call(START => stamp(5000), BODY_WAIT => 2**80)
    assert_flushed
    assert_equal [0, 0], metrics.last(2)
    assert(metrics.first(2).all? { |metric| (2999..4999).cover?(metric) }, metrics.inspect)
    assert_equal 4, metrics.size
  end

  def test_a_wait_for_the_body_that_is_no_length_of_time_counts_as_none
    [-5, -(2**80), Float::NAN, Float::INFINITY, -1.5, '2000', 2000r, [2000], Hostile.new]
      .each { |wait| call(START => stamp(5000), BODY_WAIT => wait) }
    assert_flushed
    assert(metrics.all? { |metric| (5000..7000).cover?(metric) }, metrics.inspect)
    assert_equal 9, metrics.size
  end

  def test_nothing_is_printed_for_any_value
    verbose = $VERBOSE
    $VERBOSE = true
    assert_silent do
      call(START => 'x', BODY_WAIT => 10**400)
      call(START => stamp(1), BODY_WAIT => 10**400)
      call(START => stamp(1), BODY_WAIT => -(10**400))
    end
    assert_empty @logger.lines
  ensure
    $VERBOSE = verbose
  end

  def test_it_is_at_home_in_a_rack_stack
    inner = ->(_) { [200, { 'content-type' => 'text/plain' }, ['ok']] }
    app = Rack::Builder.app do
      use Rack::Lint
      use DynoscaleRuby::Middleware
      use Rack::Runtime
      use Rack::Lint
      run inner
    end
    answer = Rack::MockRequest.new(app).get('/', START => stamp(1), :lint => true)
    assert_equal [200, 'ok'], [answer.status, answer.body]
    assert_equal :recorded, outcome
  end

  def test_every_request_of_many_threads_is_counted
    threads = Array.new(8) { Thread.new { 100.times { middleware.call({ START => stamp(1) }) } } }
    threads.each(&:join)
    assert_flushed
    assert_equal 800, metrics.size
  end

  def test_the_app_and_the_keys_survive_garbage_collection
    app = DynoscaleRuby::Middleware.new(->(_) { %w[an swer].join })
    GC.stress = true
    answer = app.call({ START => stamp(1) })
    GC.stress = false
    GC.compact if GC.respond_to?(:compact)
    assert_equal %w[answer answer], [answer, app.call({ START => stamp(1) })]
  ensure
    GC.stress = false
  end

  def test_a_copy_of_it_works_and_a_frozen_one_does
    assert_same DynoscaleTests::ANSWER, middleware.dup.call({ START => stamp(1) })
    assert_same DynoscaleTests::ANSWER, middleware.clone.freeze.call({ START => stamp(1) })
    assert_equal 2, stats[:recorded]
  end

  def test_it_can_be_derived_from
    derived = Class.new(DynoscaleRuby::Middleware) do
      def initialize(app, _more)
        super(app)
      end

      def call(env)
        super.dup << env.size
      end
    end
    assert_equal 2, derived.new(DynoscaleTests::APP, 1).call({ START => stamp(1), 'x' => 1 }).last
    assert_equal :recorded, outcome
  end

  def test_it_says_how_much_memory_it_takes
    bare = ObjectSpace.memsize_of(Object.new)
    entry_point = ObjectSpace.reachable_objects_from(middleware).grep(DynoscaleRuby::EntryPoint).first
    assert_operator ObjectSpace.memsize_of(entry_point), :>, bare
  end

  def test_an_uninitialized_middleware_raises_as_in_ruby
    assert_raises(NoMethodError) { DynoscaleRuby::Middleware.allocate.call({}) }
    assert_raises(ArgumentError) { DynoscaleRuby::Middleware.new }
  end
end
