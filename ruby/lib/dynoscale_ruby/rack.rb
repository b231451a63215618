# frozen_string_literal: true

module DynoscaleRuby
  # Counts each request and hands it on. The answer is the app's, untouched, unless server_timing is
  # on, and so are its exceptions.
  #
  # `call` is in Ruby, and what it costs in C: one method that takes the env and reads, measures and
  # records. From here Ruby calls the app without leaving its own stack, which is faster than a C
  # function's call of it, by far so with YJIT.
  class Middleware
    # What `use DynoscaleRuby::Middleware` calls.
    def initialize(app)
      @app = app
      @entry_point = EntryPoint.new
      Agent.mounted
    end

    # `enter` counts, too, and gives the moment in ns, where the service asks for the time that requests
    # take.
    def call(env)
      return @app.call(env) unless count(env)

      entered = enter(env)
      return call_slow_path(@app, env) if entered == true

      begin
        @app.call(env)
      ensure
        leave(entered)
      end
    end

    private

    # Two doors for a request, if it comes through both.
    def initialize_copy(original)
      super
      @entry_point = EntryPoint.new
    end
  end
end
