# frozen_string_literal: true

require 'test_helper'

# stats, flush, stop, job_queue_time.
class AgentTest < DynoscaleTests::AgentTest
  # ---- stats

  def test_stats_are_integers_by_name_and_add_up
    start_agent
    3.times { request }
    middleware.call({})
    assert_flushed
    assert(stats.all? { |name, value| name.is_a?(Symbol) && value.is_a?(Integer) }, stats.inspect)
    assert_equal({ recorded: 3, sent: 3, pending: 0, stamp_missing: 1, reports_accepted: 1,
                   reports_failed: 0, last_status: 200, thread_starts: 1,
                   publish_frequency_ms: 30_000 },
                 stats.slice(:recorded, :sent, :pending, :stamp_missing, :reports_accepted,
                             :reports_failed, :last_status, :thread_starts, :publish_frequency_ms))
    assert_in_delta Time.now.to_i, stats[:last_report_at], 10
  end

  STATS = %i[recorded pending sent dropped_full dropped_expired dropped_rejected dropped_stopped
             stamp_missing stamp_malformed stamp_stale stamp_future jobs_refused reports_accepted
             reports_failed last_status last_report_at publish_frequency_ms thread_starts
             thread_failures].freeze

  def test_stats_add_up_at_every_moment_for_every_thread
    start_agent
    ended = false
    wrong = Queue.new
    lookers = Array.new(3) do
      Thread.new do
        until ended
          seen = stats
          known = seen.sum { |name, count| name.match?(/\A(sent|pending|dropped_)/) ? count : 0 }
          wrong << seen unless seen[:recorded] == known && seen.keys == STATS
        end
      end
    end
    recorders = Array.new(2) { Thread.new { 2000.times { request } } }
    recorders.each { |thread| DynoscaleRuby.flush && thread.join }
    ended = true
    lookers.each(&:join)
    assert_empty Array.new(wrong.size) { wrong.pop }
    assert_equal 4000, stats[:recorded]
  end

  def test_an_agent_that_is_off_has_stats_of_zeros
    configure
    request
    assert_equal [0], stats.values.uniq
  end

  # ---- flush

  def test_flush_is_true_once_the_service_has_accepted_all
    start_agent
    5.times { |i| request(i * 1000) }
    assert DynoscaleRuby.flush(timeout: 10)
    assert_equal 5, receiver.rows.size
  end

  def test_flush_with_nothing_to_send_is_true_at_once
    start_agent
    assert_equal true, DynoscaleRuby.flush(timeout: 0)
    configure
    assert_equal true, DynoscaleRuby.flush
    assert_equal 0, receiver.wait['reports']
  end

  def test_flush_is_false_while_the_service_does_not_answer_and_keeps_the_samples
    receiver.behave('stall')
    start_agent
    request
    assert_equal false, DynoscaleRuby.flush(timeout: 0.3)
    assert_equal [1, 0], stats.values_at(:pending, :sent)
  end

  def test_flush_is_false_when_the_service_refuses_the_samples
    receiver.behave('status', status: 403)
    start_agent
    request
    assert_equal false, DynoscaleRuby.flush(timeout: 10)
    assert_equal [0, 1, 403], stats.values_at(:pending, :dropped_rejected, :last_status)
  end

  def test_samples_that_could_not_be_sent_arrive_once_the_service_is_well
    receiver.behave('status', status: 503, times: 1)
    start_agent
    request(1000)
    DynoscaleRuby.flush(timeout: 0.2)
    request(5000)
    assert_flushed
    assert_equal 2, metrics.size
  end

  def test_other_threads_run_while_flush_waits
    receiver.behave('stall')
    start_agent
    request
    flushing = Thread.new { DynoscaleRuby.flush(timeout: 30) }
    receiver.wait(reports: 1)
    10.times { request }
    assert flushing.alive?
    receiver.behave('ok')
    flushing.kill.join
    assert_equal 11, stats[:recorded]
  end

  def test_a_thread_that_flushes_can_be_killed
    receiver.behave('stall')
    start_agent
    request
    flushing = Thread.new { DynoscaleRuby.flush(timeout: 60) }
    receiver.wait(reports: 1)
    assert_same flushing, flushing.kill.join(10)
  end

  def test_a_timeout_ends_flush_and_stop
    receiver.behave('stall')
    start_agent
    request
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { DynoscaleRuby.flush(timeout: 60) } }
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { DynoscaleRuby.stop(timeout: 3) } }
  end

  def test_a_signal_whose_handler_returns_does_not_end_flush
    receiver.behave('ok', delay: 1)
    start_agent
    request
    handled = 0
    before = trap(:USR1) { handled += 1 }
    main = Thread.current
    Thread.new do
      receiver.wait(reports: 1)
      Thread.pass until main.stop?
      Process.kill(:USR1, Process.pid)
    end
    assert DynoscaleRuby.flush(timeout: 20)
    assert_equal 1, handled
  ensure
    trap(:USR1, before || 'DEFAULT')
  end

  def test_flush_of_several_threads_at_once_is_true_for_each
    start_agent
    results = Array.new(8) { Thread.new { request && DynoscaleRuby.flush(timeout: 10) } }
    assert_equal [true], results.map(&:value).uniq
    assert_equal 8, metrics.size
  end

  def test_a_timeout_of_any_kind_is_taken
    start_agent
    [0, -1, 1, 0.5, 1r, nil, '1', 'x', :x, [], Object.new, Float::NAN, Float::INFINITY, 10**400]
      .each { |timeout| assert_equal true, DynoscaleRuby.flush(timeout: timeout), timeout.inspect }
  end

  # ---- stop

  def test_stop_sends_what_is_left_and_later_samples_are_counted_as_dropped
    start_agent
    2.times { request }
    assert_equal true, DynoscaleRuby.stop(timeout: 10)
    assert_equal 2, receiver.rows.size
    request
    assert_equal [3, 2, 1], stats.values_at(:recorded, :sent, :dropped_stopped)
    assert_equal false, DynoscaleRuby.flush
    assert_equal true, DynoscaleRuby.stop
  end

  def test_stop_gives_up_at_its_deadline_and_says_so
    receiver.behave('stall')
    start_agent
    request
    assert_equal false, DynoscaleRuby.stop(timeout: 0.2)
    # That a report fails which hangs is not waited for.
    assert_equal [0, 0, 1], stats.values_at(:reports_failed, :pending, :dropped_stopped)
  end

  def test_stop_of_an_agent_that_has_nothing_is_true
    start_agent
    assert_equal true, DynoscaleRuby.stop
    configure
    assert_equal true, DynoscaleRuby.stop
  end

  def test_configure_starts_it_again
    start_agent
    request
    DynoscaleRuby.stop
    start_agent
    request
    assert_flushed
    assert_equal 2, receiver.rows.size
  end

  # ---- configure, while there is an agent

  def test_configure_moves_an_app_that_is_running_to_the_new_settings
    start_agent(publish_frequency: 60)
    request(1000)
    assert_flushed
    configure(url: "#{url}/other", dyno: 'web.1', app_name: 'shop', publish_frequency: 50)
    request(5000)
    assert_flushed
    assert_equal [nil, 'shop'], (receiver.reports.map { |report| report['headers']['x_app_name'] })
    assert_equal 50_000, stats[:publish_frequency_ms]
  end

  def test_the_same_url_with_other_settings_is_taken_on
    start_agent(publish_frequency: 60)
    request
    start_agent(publish_frequency: 50)
    assert_equal 50_000, stats[:publish_frequency_ms]
  end

  def test_samples_taken_before_configure_are_sent_nevertheless
    start_agent
    request
    configure
    receiver.wait(rows: 1)
  end

  def test_configure_while_others_record_and_flush_breaks_nothing
    start_agent
    done = false
    busy = Array.new(3) do
      Thread.new { (request && DynoscaleRuby.flush(timeout: 0.01) && stats) until done }
    end
    30.times { |i| start_agent(publish_frequency: i + 1) }
    done = true
    busy.each { |thread| assert thread.join(10) }
    assert_equal 30_000, stats[:publish_frequency_ms]
  end

  # ---- headers

  def test_a_report_says_which_dyno_and_app_it_is_of
    start_agent(dyno: 'web.1', app_name: 'shop')
    request
    assert_flushed
    headers = receiver.reports.first['headers']
    assert_equal ['web.1', 'web.1', 'shop', 'text/csv'],
                 headers.values_at('x_dyno', 'http_x_dyno', 'x_app_name', 'content-type')
    assert_equal "/#{self.class.name}/#{name}", receiver.reports.first['path']
  end

  def test_development_makes_up_a_stamp_where_there_is_none
    configure(url: url, dev_mode: true)
    middleware.call({})
    assert_flushed
    assert_includes 0..100, metrics.first
    assert_equal 'dev.1', receiver.reports.first['headers']['x_dyno']
  end

  # ---- job queues

  def test_a_job_queue_time_becomes_a_row
    start_agent
    assert_equal true, DynoscaleRuby.job_queue_time('mybackend', 'default', 1840)
    assert_equal true, DynoscaleRuby.job_queue_time(:mybackend, :"low, slow \"x\"", 12.9)
    assert_equal true, DynoscaleRuby.job_queue_time('mybackend', 'grün'.encode('ISO-8859-1'), 0)
    assert_flushed
    assert_equal [['mybackend:default', 1840], ['mybackend:low, slow "x"', 12],
                  ['mybackend:grün', 0]],
                 (receiver.rows.map { |row| row.values_at('source', 'metric') })
  end

  [
    [nil, 'q', 1], ['', 'q', 1], ['B', 'q', 1], ['b' * 33, 'q', 1], ['b:c', 'q', 1], [5, 'q', 1],
    ['b', nil, 1], ['b', '', 1], ['b', 'q' * 201, 1], ['b', "q\r\n1,2,web,", 1], ['b', "q\0", 1],
    ['b', "\xFF", 1], ['b', "\xFF".b, 1], ['b', [], 1], ['b', Object.new, 1],
    ['b', 'q', nil], ['b', 'q', -1], ['b', 'q', -0.5], %w[b q 5], ['b', 'q', Float::NAN],
    ['b', 'q', Float::INFINITY], ['b', 'q', 2**80], ['b', 'q', Object.new]
  ].each_with_index do |arguments, number|
    define_method(:"test_job_queue_time_refuses_wrong_arguments_of_kind_#{number}") do
      start_agent
      assert_equal false, DynoscaleRuby.job_queue_time(*arguments)
      assert_equal [1, 0], stats.values_at(:jobs_refused, :recorded)
    end
  end

  def test_job_queue_time_is_false_where_nothing_is_recorded
    configure
    assert_equal false, DynoscaleRuby.job_queue_time('b', 'q', 1)
    start_agent
    DynoscaleRuby.stop
    assert_equal false, DynoscaleRuby.job_queue_time('b', 'q', 1)
  end

  # ---- the whole

  def test_the_version_is_that_of_the_header_and_the_gem
    header = File.read(File.join(DynoscaleTests::ROOT, 'core/include/dynoscale.h'))
    gemspec = Gem::Specification.load(File.join(DynoscaleTests::ROOT, 'dynoscale_ruby.gemspec'))
    assert_equal [header[/VERSION "(.+)"/, 1]] * 2, [DynoscaleRuby::VERSION, gemspec.version.to_s]
    assert_predicate DynoscaleRuby::VERSION, :frozen?
  end
end
