# frozen_string_literal: true

require 'rbconfig'

module JobTests
  # A Ruby process that runs code and returns its value, until it is stopped.
  class Child
    class Failure < StandardError; end

    MAIN = File.expand_path('child_main.rb', __dir__)
    LIBRARY = File.expand_path('../../../../ruby/lib', __dir__)
    KEPT = %w[PATH HOME LANG TMPDIR].freeze
    SECONDS = 60

    attr_reader :pid

    def initialize(env: {}, directory: Dir.pwd)
      @in, theirs_in = IO.pipe
      theirs_out, @out = IO.pipe
      @log = Tempfile.new('child')
      @pid = Process.spawn(ENV.slice(*KEPT).merge(env), RbConfig.ruby, '-W', "-I#{LIBRARY}", MAIN,
                           unsetenv_others: true, chdir: directory, in: theirs_out, 3 => theirs_in,
                           %i[out err] => @log.path)
      [theirs_in, theirs_out].each(&:close)
    end

    # The value of the code; nil if its class is not one of Ruby's.
    def run(code)
      Marshal.dump(code, @out)
      raise Failure, "no answer in #{SECONDS} s to: #{code}\n#{log}" unless @in.wait_readable(SECONDS)

      value, error = Marshal.load(@in) # rubocop:disable Security/MarshalLoad
      error ? raise(Failure, "#{error}\n#{log}") : value
    rescue EOFError, Errno::EPIPE
      raise Failure, "ended at: #{code}\n#{log}"
    end

    # What it has printed.
    def log
      File.read(@log.path)
    end

    def kill(signal = :KILL)
      return unless @pid

      Process.kill(signal, @pid)
      Process.wait(@pid)
      @pid = nil
      [@in, @out].each(&:close)
    end
  end
end
