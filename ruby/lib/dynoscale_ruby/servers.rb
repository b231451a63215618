# frozen_string_literal: true

module DynoscaleRuby
  # Servers that end a process without its at_exit: unicorn's workers leave by exit! at SIGTERM and
  # SIGINT, Puma's when their master is gone, and Puma's restart replaces the process by exec. What
  # was recorded is sent before, for as long as at any other exit. Nothing is changed but these
  # methods of the servers' own classes: exit! and exec are what they were everywhere else.
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
      'Puma::Runner' => Agent::LeavingAtOnce,
      'Puma::Launcher' => Replacing
    }.freeze

    class << self
      # Sees to the servers that are loaded by now. A server may be loaded after the app; so this is
      # called again when there is something to log, the first time after the first report.
      def follow
        WAYS_OUT.each do |name, way_out|
          server = loaded(name)
          server.prepend(way_out) if server.is_a?(Class)
        end
      rescue StandardError
        nil # a class of that name that is none of the server's, and can't be changed
      end

      private

      # A class by its name, nil where it would have to be loaded.
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
