# frozen_string_literal: true

module DynoscaleRuby
  # Servers that end a process without its at_exit: unicorn's workers leave by exit! at SIGTERM and
  # SIGINT, Puma's when their master is gone, and Puma's restart replaces the process by exec. What
  # was recorded is sent before, for as long as at any other exit. Nothing is changed but these
  # methods of the servers' own classes: exit! and exec are what they were everywhere else.
  module Servers
    # :nodoc:
    module LeavingAtOnce
      private

      def exit!(*)
        Servers.stop
        super
      end
    end

    # :nodoc:
    module Replacing
      private

      def restart!
        Servers.stop
        super
      end
    end

    WAYS_OUT = {
      'Unicorn::HttpServer' => LeavingAtOnce,
      'Puma::Runner' => LeavingAtOnce,
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

      # On a thread of its own: in a signal's handler, where unicorn's exit! is called, no logger
      # can be locked. One that the interrupted thread holds is waited for no longer than promised.
      def stop
        thread = Thread.new { DynoscaleRuby.stop }
        thread.report_on_exception = false
        thread.join(TIMEOUT + 0.5)
      rescue StandardError
        nil # the server leaves in any case
      end

      private

      # A class by its name, nil where it would have to be loaded.
      def loaded(name)
        name.split('::').inject(Object) do |scope, constant|
          return if !scope.is_a?(Module) || scope.autoload?(constant)
          return unless scope.const_defined?(constant, false)

          scope.const_get(constant, false)
        end
      end
    end
  end
end
