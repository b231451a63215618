# frozen_string_literal: true

require_relative '../dynoscale_ruby'

module DynoscaleRuby
  # Adds the middleware to a Rails app, if this process serves the app and the agent is on;
  # otherwise changes nothing. `config.dynoscale.publish_frequency = 10` gives a setting;
  # DynoscaleRuby.configure wins over it.
  class Railtie < ::Rails::Railtie
    config.dynoscale = ActiveSupport::OrderedOptions.new

    initializer 'dynoscale.middleware', after: :load_config_initializers do |app|
      DynoscaleRuby.framework_settings = config.dynoscale
      Railtie.install(app) if DynoscaleRuby.settings.off_reason.nil? && Railtie.serving?
    end

    # The app's libraries are loaded now, also those that its initializers load.
    config.after_initialize do
      Jobs.hook
      Jobs.serve if Railtie.serving?
    end

    # Rails commands that load the app but don't serve it; each is loaded only to be run.
    COMMANDS = %w[Console Credentials Dbconsole Destroy Encrypted Generate Initializers Notes Routes
                  Runner Secrets Test UnusedRoutes].freeze

    # Spring loads the app once, and forks such commands from it.
    PRELOADER = 'Spring::Application'

    # The one rake task that shows a server's stack.
    STACK_TASK = 'middleware'

    class << self
      # Whether this process may serve requests: no console, runner, generator or rake task.
      def serving?
        COMMANDS.none? { |name| Object.const_defined?("Rails::Command::#{name}Command") } &&
          (rake_tasks - [STACK_TASK]).empty? && !Object.const_defined?(PRELOADER)
      end

      # The first operation on the stack, so that those in the app's configuration can refer to the
      # middleware.
      def install(app)
        app.config.app_middleware.unshift(Middleware)
        app.singleton_class.prepend(Placement)
      end

      private

      def rake_tasks
        return [] unless defined?(::Rake.application)

        ::Rake.application.top_level_tasks
      end
    end

    # Rails has no operation "before all others": which one is first shows once the app's own
    # operations are done.
    module Placement
      private

      def build_middleware
        super.extend(PlacingFirst)
      end
    end

    # The first middleware gets every request that takes a server's thread: also static files, the
    # redirect to https and requests to blocked hosts.
    module PlacingFirst
      def merge_into(stack)
        super.tap do
          if stack.include?(Middleware)
            stack.delete(Middleware)
            stack.unshift(Middleware)
          end
        end
      end
    end
  end
end
