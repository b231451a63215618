# frozen_string_literal: true

require_relative 'body_waits'

module DynoscaleRuby
  # Servers and workers that end a process without its at_exit: unicorn's and Pitchfork's workers
  # leave by exit! at SIGTERM and SIGINT, Falcon's at SIGTERM, Puma's when their master is gone, Thin
  # at its restart, and Resque's child when its job is done; Puma's restart replaces the process by
  # exec. What was recorded is sent before, for as long as at any other exit. Nothing is changed but
  # these methods of the servers' own classes: exit! and exec are what they were everywhere else.
  module Servers
    # The server has been stopped.
    module Replacing
      private

      def restart!
        DynoscaleRuby.stop
        super
      end
    end

    WAYS_OUT = {
      'Unicorn::HttpServer' => Agent::LeavingAtOnce,
      'Pitchfork::HttpServer' => Agent::LeavingAtOnce,
      'Puma::Runner' => Agent::LeavingAtOnce,
      'Puma::Launcher' => Replacing,
      'Thin::Server' => Agent::LeavingAtOnce,
      'Resque::Worker' => Agent::LeavingAtOnce
    }.freeze

    # Servers that work on one request at a time in a process.
    SINGLE = %w[Unicorn::HttpServer Pitchfork::HttpServer].freeze

    # Falcon's classes whose methods call exit!: those of async-container, the newer last.
    WAYS_OUT_OF_CLASSES = %w[Async::Container::Process Async::Container::Forked::Child].freeze

    # Each server process runs one object of these classes. Its number of slots is known when this
    # method begins.
    SLOTS = {
      'Puma::Server' => [:run, ->(server) { server.max_threads }],
      'Thin::Server' => [:start, ->(server) { server.threaded? ? server.threadpool_size : 1 }],
      'WEBrick::HTTPServer' => [:start, ->(server) { server.config[:MaxClients] }],
      'PhusionPassenger::RequestHandler' => [:main_loop, ->(handler) { handler.concurrency }]
    }.to_h do |name, (method, slots)|
      telling = Module.new do
        define_method(method) do |*arguments, &block|
          Servers.slots_of(self, slots)
          super(*arguments, &block)
        end
      end
      [name, telling]
    end.freeze

    # rackup and similar programs load a server by it, when the app is made.
    HANDLERS = %w[Rack::Handler Rackup::Handler].freeze

    # Of these.
    module Loading
      def get(*)
        super.tap { Servers.follow }
      end
    end

    class << self
      # Hooks into the servers loaded so far. A server may be loaded after the app, so this is
      # called again when there is something to log, the first time after the first report.
      def follow
        WAYS_OUT.each { |name, way_out| prepend(loaded(name), way_out) }
        BodyWaits::SERVERS.each do |name, (known_by, body_wait)|
          prepend(now(name), body_wait) if loaded(known_by)
        end
        HANDLERS.each { |name| follow_loading(name) }
        SLOTS.each { |name, telling| prepend(loaded(name), telling) }
        WAYS_OUT_OF_CLASSES.each do |name|
          server = loaded(name)
          prepend(server.singleton_class, Agent::LeavingAtOnce) if server.is_a?(Class)
        end
      end

      # Sets how many requests this process can run at once, for a server that was found only now:
      # one that already runs, or runs one at a time.
      def set_slots
        puma = loaded('Puma::Server')
        if puma
          running = puma.current if puma.respond_to?(:current)
          Agent.slots = running.max_threads if running
        elsif SINGLE.any? { |name| loaded(name) }
          Agent.slots = 1
        end
      rescue StandardError
        nil # a server version with other methods: the number is unknown
      end

      # Sets what `slots` finds; nothing for a server version with other methods.
      def slots_of(server, slots)
        found = slots.call(server)
        Agent.slots = found if found.is_a?(Integer)
      rescue StandardError
        nil
      end

      private

      # It may still be an autoload.
      def follow_loading(name)
        now(name)&.singleton_class&.prepend(Loading)
      end

      # The constant with that name, loaded if necessary; nil if there is none.
      def now(name)
        Object.const_get(name) if Object.const_defined?(name)
      rescue StandardError, LoadError
        nil
      end

      def prepend(server, ours)
        server.prepend(ours) if server.is_a?(Class)
      rescue StandardError
        nil # another class of that name, which can't be changed
      end

      # A class by its name; nil if it would have to be loaded.
      def loaded(name)
        name.split('::').inject(Object) do |scope, constant|
          return nil if !scope.is_a?(Module) || scope.autoload?(constant)
          return nil unless scope.const_defined?(constant, false)

          scope.const_get(constant, false)
        end
      end
    end
  end
end
