# frozen_string_literal: true

require 'timeout'
require_relative 'selection'

module DynoscaleRuby
  module Jobs
    # The thread that reads job queues once an interval. Of each backend one process of the dyno
    # leads, and reads. A process that leads none waits without waking up until a leader ends. It
    # needs the thread from the start: a native thread can't begin to run Ruby.
    class Reader
      # Seconds that a backend may take to answer.
      TIMEOUT = 5

      # An ordinary exception, so that libraries clean up: Timeout's own is a throw in some versions
      # of Ruby, after which a connection stays taken.
      Expired = Class.new(RuntimeError)

      # Seconds between two lines of the log about a backend.
      SILENCE = 60

      # The longest sleep in seconds: a new interval is noticed after it.
      LONGEST_SLEEP = 60

      # Seconds after which a waiting thread asks again: the leader may have stopped but not ended.
      LONGEST_WAIT = 600

      # When each subject was last logged. Kept for the process, as threads come and go.
      @logged = {}

      class << self
        # Yields at most once in SILENCE seconds for a subject.
        def once_in_silence(subject)
          return if @logged[subject] && now < @logged[subject] + SILENCE

          @logged[subject] = now
          yield
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end

      # With `wait` the first reading is one interval later: not in a child that ends before.
      def initialize(wait: false)
        @bell, @ringer = IO.pipe
        @stopping = false
        @thread = Thread.new { run(wait) }
        @thread.name = 'dynoscale-jobs'
        @thread.report_on_exception = false
        # Puma warns of threads that were started before it forks, except for those with this mark.
        @thread.thread_variable_set(:fork_safe, true)
      end

      # False in a forked child, too.
      def running?
        !@stopping && @thread.alive?
      end

      # Does not wait: a reading in progress ends by itself, and records nothing more.
      def stop
        @stopping = true
        wake
      end

      # Wakes the thread: its reasons may have changed. Not from a forked child: the pipe is the
      # parent's.
      def wake
        @ringer.write_nonblock('.', exception: false) if @thread.alive?
      rescue IOError, SystemCallError
        nil # all descriptors were closed: it notices by itself when it wakes
      end

      private

      def run(wait)
        sleep_interval if wait
        turn until @stopping
        Jobs.disconnect
      end

      def turn
        led, others = Jobs.adapters.partition { |name, _| leads?(name) }
        return await_lead(others.map(&:first)) if led.empty?

        read_all(led)
        sleep_interval
      end

      def leads?(name)
        Agent.leads?(name)
      rescue StandardError => e
        log_failure('any backend', e)
        false
      end

      def read_all(adapters)
        signals, wanted = Agent.asked
        return DynoscaleRuby.log_events unless wanted

        @counted = %w[depth working] & signals
        selection = Selection.new(DynoscaleRuby.settings.job_queues)
        adapters.each { |name, adapter| read(name, adapter, selection) unless @stopping }
        DynoscaleRuby.log_events
      rescue StandardError => e
        log_failure('any backend', e)
      end

      # Sleeps until one of the leaders has ended; for an interval if the system can't report all of
      # them.
      def await_lead(names)
        leaders = names.filter_map { |name| Agent.watch_leader(name) }.map { |leader| IO.for_fd(leader) }
        all = leaders.size == names.size && names.any?
        rest(all ? LONGEST_WAIT : interval.clamp(1, LONGEST_SLEEP), *leaders)
      rescue StandardError => e # the descriptor was closed, or none is left
        log_failure('any backend', e)
        sleep_interval
      ensure
        leaders&.each(&:close)
      end

      def read(name, adapter, selection)
        found = Timeout.timeout(TIMEOUT, Expired, "no answer in #{TIMEOUT} s") do
          mark_timeouts_thread
          adapter.queues(@counted) { |names| selection.of(name, names) }
        end
        selection.of(name, found.keys).each do |queue|
          return nil if @stopping

          Agent.job_queue_time(name, queue, found[queue]) unless found[queue].nil?
          count(name, queue, adapter.counts)
        end
      rescue StandardError, ScriptError, NoMemoryError, SystemStackError => e
        log_failure(name, e)
      end

      # How many jobs of a queue are ready, and running, if the adapter knows.
      def count(name, queue, counts)
        @counted.each do |signal|
          jobs = counts[signal] && counts[signal][queue]
          Agent.job_signal(name, queue, signal, jobs) if jobs
        end
      end

      # Timeout's thread, from Ruby 3.2 on; it starts again in a child, as ours does.
      def mark_timeouts_thread
        return if @marked

        @marked = true
        thread = Thread.list.find { |other| other.name == 'Timeout stdlib thread' }
        thread&.thread_variable_set(:fork_safe, true)
      end

      def log_failure(name, error)
        self.class.once_in_silence(name) { Log.failure("the job queues of #{name} can't be read", error) }
      end

      def sleep_interval
        start = self.class.now
        until @stopping || (left = start + interval - self.class.now) <= 0
          rest(left.clamp(0.001, LONGEST_SLEEP))
        end
      end

      # Sleeps until the time is over, another descriptor is readable, or it is woken.
      def rest(seconds, *others)
        rung, = IO.select([@bell, *others], nil, nil, seconds)
        @bell.read_nonblock(16, exception: false) if rung&.include?(@bell)
      rescue IOError, SystemCallError
        sleep(seconds.clamp(0, LONGEST_SLEEP)) # somebody has closed all that was open
      end

      def interval
        [Agent.stats[:publish_frequency_ms] / 1000.0, 1.0].max
      end
    end
  end
end
