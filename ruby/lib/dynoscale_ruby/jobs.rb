# frozen_string_literal: true

require 'monitor'

module DynoscaleRuby
  # Measures how long the oldest job of each queue has been ready to run, in processes that work
  # jobs or serve requests, and reports it as "BACKEND:QUEUE".
  #
  # An adapter is one file in jobs/ and one row in BACKENDS. Its class has three methods:
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
    # Backend's name, which is also its file's => a constant that is there when it is loaded.
    BACKENDS = {
      'sidekiq' => 'Sidekiq::VERSION',
      'resque' => 'Resque::Worker',
      'delayed_job' => 'Delayed::Worker',
      'good_job' => 'GoodJob::VERSION',
      'que' => 'Que::Locker',
      'solid_queue' => 'SolidQueue::VERSION'
    }.freeze

    # Needed once queues are read, and by Que's adapter for its time-out: not by an app without jobs,
    # nor is what it needs.
    autoload :Reader, "#{__dir__}/jobs/reader"

    # Programs that load an app and neither serve it nor work its jobs.
    CONSOLES = %w[console irb pry racksh rake].freeze

    # Ruby's own forks. A child does not have the thread of its parent.
    module Forks
      # Ruby 3.1 calls it for fork in all its forms; on 3.0 nothing does, and the parent reads on.
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
      # The adapters of the libraries that are loaded by now, by name.
      def adapters
        @lock.synchronize do
          BACKENDS.each do |name, constant|
            adopt(name) if !@adapters.key?(name) && Object.const_defined?(constant)
          end
          @adapters.dup
        end
      end

      # Looks for libraries, and asks them to call when they begin to work. Starts nothing.
      def hook
        adapters
        nil
      rescue StandardError => e
        Log.failure('job queues are not measured', e)
      end

      # The process works jobs: called by adapters.
      def work
        begin_as(:worker)
      end

      # The process serves requests, or will.
      def serve
        begin_as(:web)
      end

      # A middleware was made. Rails makes it while it starts, and says later whether it serves.
      def mounted
        rails = ::Rails.application if defined?(::Rails.application)
        serve unless (rails && !rails.initialized?) || CONSOLES.include?(File.basename($PROGRAM_NAME))
      end

      # Settings or libraries may have changed: the thread is started or stopped where it must be.
      def settle(wait: false)
        @lock.synchronize do
          if !wanted?
            @reader&.stop
          elsif @reader&.running?
            @reader.rouse
          else
            Process.singleton_class.prepend(Forks)
            @reader = Reader.new(wait: wait)
          end
        end
      rescue StandardError => e
        Log.failure('job queues are not measured', e)
      end

      # Whether queues are measured in some process of the app, be it not in this one.
      def collecting?
        settings = DynoscaleRuby.settings
        settings.jobs && !settings.skip && !settings.url.nil?
      end

      # The agent has new settings.
      def configured
        @stopped = false
        settle if @role
      end

      # The agent stops. Told by a Ractor, it leaves the thread to the main one.
      def stop
        return unless Ractor.current.equal?(Ractor.main)

        @stopped = true
        @reader&.stop
      end

      # In a forked child. One of a web server may outlive all that could read in its place; those
      # of a worker are told by the library, when they begin to work.
      def forked
        each_connected(:forget)
        go_on if @role == :web
      end

      # In a process that goes on as the one that it was, without its threads.
      def daemonized
        each_connected(:forget)
        go_on
      end

      # Whether `forked` is called in each child that runs Ruby code.
      def told_of_forks?
        Process.respond_to?(:_fork)
      end

      # The reader's thread ends.
      def disconnect
        each_connected(:close)
      end

      private

      def go_on
        @stopped = false
        settle(wait: true) if @role
      end

      def each_connected(message)
        @adapters.each_value do |adapter|
          adapter.public_send(message) if adapter.respond_to?(message)
        rescue StandardError
          nil # what becomes of the connection is the server's to find out
        end
      end

      def begin_as(role)
        @role = role unless @role == :worker
        settle
      end

      def wanted?
        return false if @role.nil? || @stopped || adapters.empty?

        settings = DynoscaleRuby.settings
        settings.jobs && settings.off_reason.nil?
      end

      # A library that can't be adopted is no reason to do without the others.
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
