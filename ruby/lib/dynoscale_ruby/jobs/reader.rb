# frozen_string_literal: true

require 'timeout'
require_relative 'selection'

module DynoscaleRuby
  module Jobs
    # The thread that reads job queues once an interval, in the one process of the dyno that leads.
    # In the others it only asks, once an interval, whether the leader is gone: a native thread can't
    # begin to run Ruby, and an idle process has nobody else who could ask.
    class Reader
      # Seconds that a backend may take to answer.
      TIMEOUT = 5

      # An exception like any other, for the libraries to clear up after: Timeout's own is a throw in
      # some versions of Ruby, and a connection that it passes by stays taken.
      Expired = Class.new(RuntimeError)

      # Seconds between two lines of the log about a backend.
      SILENCE = 60

      # The longest sleep in seconds: what the service says about the interval is heard after it.
      LONGEST_SLEEP = 60

      # What was told when, by backend; by the process, as threads come and go.
      @told = {}

      class << self
        # Yields at most once in SILENCE seconds for a subject.
        def tell(subject)
          return if @told[subject] && now < @told[subject] + SILENCE

          @told[subject] = now
          yield
        end

        def now
          Process.clock_gettime(Process::CLOCK_MONOTONIC)
        end
      end

      # With `wait` the first reading is an interval away: not in a child that ends before.
      def initialize(wait: false)
        @mutex = Mutex.new
        @wake = ConditionVariable.new
        @stopping = false
        @thread = Thread.new { run(wait) }
        @thread.name = 'dynoscale-jobs'
        @thread.report_on_exception = false
        # Puma warns of threads that are started before it forks, but for those with this mark.
        @thread.thread_variable_set(:fork_safe, true)
      end

      # False in a forked child, too.
      def running?
        !@stopping && @thread.alive?
      end

      # Does not wait: a reading that is under way ends by itself, and records nothing any more.
      def stop
        @stopping = true
        @mutex.synchronize { @wake.broadcast }
      rescue ThreadError
        nil # in a signal's handler: the thread sees it when it wakes
      end

      private

      def run(wait)
        sleep_interval if wait
        until @stopping
          read_all
          sleep_interval
        end
      end

      def read_all
        return unless Agent.leads?

        selection = Selection.new(DynoscaleRuby.settings.job_queues)
        Jobs.adapters.each { |name, adapter| read(name, adapter, selection) unless @stopping }
        DynoscaleRuby.log_events
      rescue StandardError => e
        tell_failure('any backend', e)
      end

      def read(name, adapter, selection)
        found = Timeout.timeout(TIMEOUT, Expired, "no answer in #{TIMEOUT} s") do
          adapter.queues { |names| selection.of(name, names) }
        end
        selection.of(name, found.keys).each do |queue|
          Agent.job_queue_time(name, queue, found[queue]) unless found[queue].nil? || @stopping
        end
      rescue StandardError, ScriptError, NoMemoryError, SystemStackError => e
        tell_failure(name, e)
      end

      def tell_failure(name, error)
        self.class.tell(name) do
          Log.add(:warn, "the job queues of #{name} can't be read: #{error.class}: " \
                         "#{redacted(error.message)}")
        end
      end

      # Its beginning, without what may be a password.
      def redacted(message)
        message.to_s.scrub.lines.first.to_s.strip[0, 200]
               .gsub(%r{//\S*@|//.*@}, '//[redacted]@')
               .gsub(/(passw\w*\s*[=:]\s*)\S+/i, '\1[redacted]')
      end

      def sleep_interval
        start = self.class.now
        @mutex.synchronize do
          until @stopping || (left = start + interval - self.class.now) <= 0
            @wake.wait(@mutex, left.clamp(0.001, LONGEST_SLEEP))
          end
        end
      end

      def interval
        [Agent.stats[:publish_frequency_ms] / 1000.0, 1.0].max
      end
    end
  end
end
