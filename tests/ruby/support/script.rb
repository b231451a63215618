# frozen_string_literal: true

require 'rbconfig'
require 'tempfile'
require 'timeout'

module DynoscaleTests
  # Programs in processes of their own, with nothing of this one's settings.
  module Script
    Result = Struct.new(:out, :err, :status)

    LIBRARY = ENV.fetch('TEST_RUBYLIB') { File.expand_path('../../../ruby/lib', __dir__) }
    PRELUDE = File.expand_path('prelude.rb', __dir__)
    KEPT = %w[PATH HOME LANG TMPDIR LD_PRELOAD ASAN_OPTIONS].freeze

    module_function

    # Runs a command to its end, or kills it after a minute.
    def command(*command, env: {}, directory: Dir.pwd, seconds: 60)
      Tempfile.create('out') do |out|
        Tempfile.create('err') do |err|
          pid = Process.spawn(ENV.slice(*KEPT).merge(env), *command,
                              unsetenv_others: true, out: out, err: err, in: File::NULL,
                              chdir: directory)
          status = wait(pid, seconds)
          return Result.new(File.read(out.path), File.read(err.path), status)
        end
      end
    end

    # Runs Ruby code with the library of this checkout and support/prelude.rb.
    def ruby(code, env: {}, arguments: [])
      command(RbConfig.ruby, '-W', "-I#{LIBRARY}", "-r#{PRELUDE}", '-e', code, *arguments, env: env)
    end

    # Runs tests of this suite in a Ruby with other options, once `code` has been run.
    def tests(names, *options, code: '', env: {})
      directory = File.expand_path('..', __dir__)
      names.each { |name| code += "\nrequire '#{directory}/#{name}_test'" }
      command(RbConfig.ruby, *options, "-I#{LIBRARY}", "-I#{directory}", '-e', code,
              '--', '--no-plugins', env: { **ENV.slice('PYTHON'), **env })
    end

    # What a process of Dynoscale's is given by its environment.
    def environment(url, **more)
      { 'DYNOSCALE_URL' => url, 'DYNO' => 'web.1' }.merge(more.transform_keys(&:to_s))
    end

    def wait(pid, seconds)
      Timeout.timeout(seconds) { Process.wait2(pid).last }
    rescue Timeout::Error
      Process.kill(:KILL, pid)
      Process.wait2(pid).last
    end
  end
end
