# frozen_string_literal: true

require 'monitor'

module DynoscaleRuby
  # Measures how long the oldest job of each queue has been ready to run, in processes that work
  # jobs or serve requests, and reports it as "BACKEND:QUEUE".
  #
  # An adapter is one file in jobs/ and one row in JOB_BACKENDS. Its class has three methods:
  #
  #   hook     asks the library, once a process, to call Jobs.work when it begins to work jobs
  #   queues   {queue's name => ms}: how long its oldest job that is ready to run has been so; 0
  #            for a queue known to be empty; nil where there is nothing to tell, because the queue
  #            is paused, or the age of its jobs unknown. It may yield the names it has found, and
  #            read only those it gets back. It raises what the library raises. Its argument: those
  #            of 'depth' and 'working' that the service asks for; none if left out.
  #   counts   {'depth' => {queue => jobs that are ready}, 'working' => {queue => jobs that are worked
  #            on, by all workers}}, as far as the same round trips of the last reading have told it:
  #            nil for what is not known, 0 for what is known to be none
  #
  # One that keeps a connection has two more:
  #
  #   close    gives it up: the reader's thread ends
  #   forget   neither uses nor ends it any more: it is a parent's, in a forked child
  #
  # `queues` is called by the reader's thread alone, never on a request, at most once an interval in
  # one process of the dyno, and is given up after Reader::TIMEOUT. It goes through a connection of
  # its own, made as the library makes its: a request never waits for one that a reading holds. The
  # round trips do not grow with the queues.
  module Jobs
    # Loaded once queues are read (and by Que's adapter for its time-out), so that an app without
    # jobs does not load it.
    autoload :Reader, "#{__dir__}/jobs/reader"

    # Programs that load an app but neither serve it nor work its jobs.
    CONSOLES = %w[console irb pry racksh rake].freeze

    # For Ruby's own forks: a child does not have its parent's thread.
    module Forks
      # Ruby 3.1 and newer call it for every fork. 3.0 does not: there the parent goes on reading.
      def _fork
        super.tap { |pid| Jobs.forked if pid.zero? }
      end

      def daemon(...)
        super.tap { Jobs.daemonized }
      end
    end

    @lock = Monitor.new
    @adapters = {}

    class << self
      # The adapters of the libraries loaded so far, by name.
      def adapters
        @lock.synchronize do
          JOB_BACKENDS.each do |name, constant|
            adopt(name) if !@adapters.key?(name) && Object.const_defined?(constant)
          end
          @adapters.dup
        end
      end

      # Looks for libraries, and hooks into them to hear when they begin to work. Starts nothing.
      def hook
        adapters
        nil
      rescue StandardError => e
        Log.failure('job queues are not measured', e)
      end

      # Called by adapters: this process works jobs.
      def work
        begin_as(:worker)
      end

      # This process serves requests, or will.
      def serve
        begin_as(:web)
      end

      # A middleware was made. Rails makes it while it starts, and says later whether it serves.
      def mounted
        rails = ::Rails.application if defined?(::Rails.application)
        serve unless (rails && !rails.initialized?) || CONSOLES.include?(File.basename($PROGRAM_NAME))
      end

      # Settings or libraries may have changed: starts or stops the thread accordingly.
      def update(wait: false)
        @lock.synchronize do
          if !wanted?
            @reader&.stop
          elsif @reader&.running?
            @reader.wake
          else
            Process.singleton_class.prepend(Forks)
            @reader = Reader.new(wait: wait)
          end
        end
      rescue StandardError => e
        Log.failure('job queues are not measured', e)
      end

      # Whether any process of the app measures queues, maybe not this one.
      def collecting?
        settings = DynoscaleRuby.settings
        settings.jobs && !settings.skip && !settings.url.nil?
      end

      # The agent has new settings.
      def configured
        @stopped = false
        update if @role
      end

      # The agent stops. If a Ractor stops it, the thread is left to the main one.
      def stop
        return unless Ractor.current.equal?(Ractor.main)

        @stopped = true
        @reader&.stop
      end

      # In a forked child. A web server's child may outlive every other process that could read.
      # Children of workers hear from the library when they begin to work.
      def forked
        each_connected(:forget)
        go_on if @role == :web
      end

      # In a process that goes on after a fork without its threads.
      def daemonized
        each_connected(:forget)
        go_on
      end

      # Whether Ruby calls `forked` in every child that runs Ruby code.
      def sees_forks?
        Process.respond_to?(:_fork)
      end

      # The reader's thread ends.
      def disconnect
        each_connected(:close)
      end

      private

      def go_on
        @stopped = false
        update(wait: true) if @role
      end

      def each_connected(message)
        @adapters.each_value do |adapter|
          adapter.public_send(message) if adapter.respond_to?(message)
        rescue StandardError
          nil # the server notices by itself that the connection is gone
        end
      end

      def begin_as(role)
        @role = role unless @role == :worker
        update
      end

      def wanted?
        return false if @role.nil? || @stopped || adapters.empty?

        settings = DynoscaleRuby.settings
        settings.jobs && settings.off_reason.nil?
      end

      # An adapter that fails must not stop the others.
      def adopt(name)
        require_relative "jobs/#{name}"
        adapter = const_get(name.split('_').map(&:capitalize).join, false).new
        @adapters[name] = adapter
        adapter.hook
      rescue StandardError, ScriptError => e
        Log.failure("#{name} does not let the agent know when it starts", e)
      end
    end
  end
end
