# frozen_string_literal: true

require_relative 'dynoscale_ruby/version'
require_relative 'dynoscale_ruby/rack'
require_relative 'dynoscale_ruby/server_timing'

# Measures how long each request waited for a free worker, and reports it to Dynoscale.
#
# In Rails the gem is enough. In any other Rack app:
#
#   require 'dynoscale_ruby/middleware'
#   use DynoscaleRuby::Middleware
module DynoscaleRuby
  # Code for 1.x may rescue it. Nothing raises it.
  Error = Class.new(StandardError)

  # The default time-out of flush and stop, and the longest, in seconds.
  TIMEOUT = 2.0
  LONGEST_TIMEOUT = 3600.0

  # What an agent that is opened needs. It takes longer to load than all else, and a process that only
  # loads the gem does without: see load_rest.
  REST = { Jobs: 'jobs', Log: 'log', Servers: 'servers', Settings: 'settings' }.freeze
  REST.each { |name, file| autoload name, "#{__dir__}/dynoscale_ruby/#{file}" }

  # A job backend => a constant that exists once its library is loaded.
  JOB_BACKENDS = {
    'sidekiq' => 'Sidekiq::VERSION',
    'resque' => 'Resque::Worker',
    'delayed_job' => 'Delayed::Worker',
    'good_job' => 'GoodJob::VERSION',
    'que' => 'Que::Locker',
    'solid_queue' => 'SolidQueue::VERSION'
  }.freeze

  @lock = Mutex.new

  class << self
    # Gives settings in code, which win over the framework's and the environment's:
    #
    #   DynoscaleRuby.configure { |c| c.publish_frequency = 10 }
    #
    # What is not given stays as an earlier call left it; the environment is read again. A value
    # that can't be used is one warning and changes nothing. Yields a Settings. In a signal's handler,
    # where Ruby allows no lock, the settings are in force a moment later; so is the block's call,
    # where the agent was never opened.
    def configure(&block)
      if load_rest
        settings = Settings.new(@settings)
        yield settings if block
        in_trap? ? Thread.new { apply(settings) } : apply(settings)
      else
        Thread.new { configure(&block) }
      end
      nil
    end

    # Sets a framework's configuration, a Hash of settings; code wins over it.
    def framework_settings=(values)
      load_rest
      settings = Settings.new(@settings)
      settings.give_all(values, :framework)
      apply(settings)
    end

    # The current Settings. Shows no secrets when printed, and why the agent is off.
    def settings
      start
      @settings
    end

    # Opens the process's agent with the current settings, unless it is open. Starts no thread
    # before there is something to report.
    def start
      return if Agent.opened?

      load_rest
      apply(Settings.new(@settings)) { !Agent.opened? }
      nil
    end

    # A Hash of Integers: what this process recorded, sent and dropped, and why. While nothing is in
    # progress, recorded = sent + pending + the sum of dropped_*.
    def stats
      Agent.stats
    end

    # Sends what was recorded so far. True once the service has accepted all of it, or if there was
    # nothing; false if it could not be sent within `timeout` seconds, or was refused. Other threads
    # go on meanwhile, and an interrupt (Ctrl-C, Timeout, Thread#kill) ends the wait.
    def flush(timeout: TIMEOUT)
      Agent.flush(milliseconds(timeout)).tap { log_events }
    end

    # Sends what was recorded, and stops the agent in this process. Happens by itself at exit. True
    # if nothing was dropped. `configure` starts the agent again.
    def stop(timeout: TIMEOUT)
      Jobs.stop if load_rest
      Agent.stop(milliseconds(timeout)).tap { log_events }
    end

    # Records that the oldest job ready to run in a queue has waited for `queue_time_ms`, 0 for an
    # empty queue; it is reported as "BACKEND:QUEUE".
    #
    #   DynoscaleRuby.job_queue_time('mybackend', 'default', 1840) #=> true
    #
    # `backend` is 1 to 32 of a-z, 0-9 and _; `queue` 1 to 200 bytes of UTF-8 without control
    # characters. False, never an exception, where it is not recorded: the agent is off or stopped,
    # or one of the three can't be used (counted as jobs_refused).
    def job_queue_time(backend, queue, queue_time_ms)
      Agent.job_queue_time(backend, queue, queue_time_ms)
    end

    # Logs the native thread's events. The middleware calls it if there are any. Raises nothing.
    def log_events
      return unless load_rest

      Servers.follow
      Servers.set_slots
      while (event = Agent.next_event)
        Log.add(*event)
      end
    end

    private

    # The middleware's: one was made in the main Ractor.
    def mounted
      Jobs.mounted if load_rest
    end

    # Whether all of the gem is loaded: loads it if Ruby can. In a signal's handler, and in a Ractor
    # other than the main one, it can't.
    def load_rest
      return true if REST.each_key.none? { |name| autoload?(name) }
      return false if in_trap? || !Ractor.current.equal?(Ractor.main)

      REST.each_key { |name| const_get(name) }
      true
    end

    def in_trap?
      Mutex.new.synchronize { false }
    rescue ThreadError
      true
    end

    # Replaces the agent by one with these settings, unless the block returns false. A block also
    # means that nobody gave settings: then no warning if a Ractor opened the agent first.
    def apply(settings)
      @lock.synchronize do
        return if block_given? && !yield

        said = Array(@settings&.warnings)
        @settings = settings
        Log.use(settings)
        (settings.warnings - said).each { |warning| Log.add(:warn, warning) }
        if Agent.close
          open_agent
        elsif !block_given?
          log_kept
        end
      end
      Jobs.configured
    end

    def log_kept
      return if @logged_kept

      @logged_kept = true
      Log.add(:warn, 'the agent is in use by a Ractor and keeps the settings that it has')
    end

    def open_agent
      if (off_reason = Agent.open(@settings))
        Log.add(@settings.off_unusual? && !@off_logged ? :warn : :info, "off: #{off_reason}")
        @off_logged = true
      else
        Servers.follow
        Log.add(:info, "on: reports to #{@settings.shown(:url)} as #{@settings.dyno}")
      end
    end

    def milliseconds(timeout)
      seconds = timeout.is_a?(Integer) ? timeout : Float(timeout, exception: false)
      seconds = TIMEOUT if seconds.nil? || (seconds.is_a?(Float) && seconds.nan?)
      (seconds.clamp(0.0, LONGEST_TIMEOUT) * 1000).round
    end
  end
end

DynoscaleRuby::Jobs.hook if DynoscaleRuby::JOB_BACKENDS.each_value.any? { |name| Object.const_defined?(name) }
require_relative 'dynoscale_ruby/railtie' if defined?(Rails::Railtie)
