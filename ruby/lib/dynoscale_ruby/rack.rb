# frozen_string_literal: true

module DynoscaleRuby
  # Counts each request and calls the app, whose answer and exceptions pass unchanged (unless
  # server_timing is on).
  #
  # `call` is in Ruby and calls one C method, which reads the env, measures and records. Ruby then
  # calls the app without leaving its own stack, which is faster than a call from C, by far with
  # YJIT.
  class Middleware
    # `use DynoscaleRuby::Middleware` calls it.
    def initialize(app)
      @app = app
      @entry_point = EntryPoint.new
      Agent.mounted
    end

    # `count` gives the moment in ns where the service asks for the time that requests take, and -2
    # where there is more to do. Two Integers are compared without a call.
    def call(env)
      return @app.call(env) unless (entered = count(env))
      return call_slow_path(@app, env) if entered < -1

      begin
        @app.call(env)
      ensure
        leave(entered)
      end
    end

    private

    # A second entry point, for requests that come through both.
    def initialize_copy(original)
      super
      @entry_point = EntryPoint.new
    end

    # Ruby looks a method up at its first call, and notes what it found. Done here, while there is no
    # agent, it is not left to a forked process's first request, for which each page is copied.
    allocate.tap { |idle| idle.instance_variable_set(:@app, proc {}) }.call({})
  end
end
