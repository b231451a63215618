# frozen_string_literal: true

require 'fileutils'
require 'socket'
require 'tmpdir'

module JobTests
  # A server program on a port of loopback, with a directory of its own, that ends with this process.
  class Server
    class Missing < StandardError; end

    SECONDS = 20

    # One for all tests; skips the test where there is no such program.
    def self.shared(test)
      raise @failure if @failure

      @shared ||= new.tap { |server| Minitest.after_run { server.stop } }
    rescue Missing => e
      test.skip e.message
    rescue StandardError => e
      raise @failure = e
    end

    attr_reader :port

    def initialize
      @directory = Dir.mktmpdir('dynoscale')
      @port = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
      start
      wait
    rescue StandardError
      stop
      raise
    end

    def start
      @pid = Process.spawn(*command, chdir: '/', in: File::NULL, out: log, err: log)
    end

    def stop
      kill
      FileUtils.rm_rf(@directory)
    end

    def kill
      return unless @pid

      Process.kill(:KILL, @pid)
      Process.wait(@pid)
      @pid = nil
    end

    def wait
      deadline = now + SECONDS
      until ready?
        raise "#{self.class}: #{File.read(log)}" if now > deadline || Process.wait(@pid, Process::WNOHANG)

        sleep 0.02 # until the server listens: there is nothing of it to wait on
      end
    end

    private

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def log
      File.join(@directory, 'log')
    end

    def program(*places)
      path = places.flat_map { |place| Dir[place].reverse }.first
      path or raise Missing, "#{File.basename(places.first)} is not installed"
    end
  end

  class RedisServer < Server
    PASSWORD = 's3cret-redis'

    def command
      [program('/usr/bin/redis-server', '/usr/local/bin/redis-server'), '--port', port.to_s,
       '--bind', '127.0.0.1', '--save', '', '--dir', @directory, '--requirepass', PASSWORD,
       '--enable-debug-command', 'local']
    end

    def url(port = self.port)
      "redis://:#{PASSWORD}@127.0.0.1:#{port}/0"
    end

    def ready?
      call('PING') == '+PONG'
    rescue SystemCallError
      false
    end

    # The first line of the answer.
    def call(*words)
      TCPSocket.open('127.0.0.1', port) do |socket|
        [['AUTH', PASSWORD], words].each do |command|
          socket.write("*#{command.size}\r\n",
                       *command.map { |word| "$#{word.bytesize}\r\n#{word}\r\n" })
        end
        socket.gets
        socket.gets.to_s.chomp
      end
    end

    # A digest of all data: the same if and only if nothing was changed or moved.
    def digest
      call('DEBUG', 'DIGEST')
    end
  end

  # TLS on another port, with a self-signed certificate.
  class RedisTLSServer < RedisServer
    attr_reader :certificate

    def initialize(directory)
      @certificate = File.join(directory, 'redis.pem')
      @key = File.join(directory, 'redis.key')
      system('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
             '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
             '-keyout', @key, '-out', @certificate, err: File::NULL) or raise Missing, 'no openssl'
      @tls_port = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
      super()
    end

    def command
      super + ['--tls-port', @tls_port.to_s, '--tls-cert-file', @certificate,
               '--tls-key-file', @key, '--tls-ca-cert-file', @certificate, '--tls-auth-clients', 'no']
    end

    def tls_url
      "rediss://:#{PASSWORD}@localhost:#{@tls_port}/0"
    end
  end

  # Knows the address of a Redis server as NAME. Has no password itself.
  class RedisSentinel < RedisServer
    NAME = 'mymaster'

    def initialize(watched)
      @watched = watched
      super()
    end

    def command
      config = File.join(@directory, 'sentinel.conf')
      File.write(config, <<~CONFIG)
        port #{port}
        bind 127.0.0.1
        dir #{@directory}
        sentinel monitor #{NAME} 127.0.0.1 #{@watched.port} 1
        sentinel auth-pass #{NAME} #{PASSWORD}
      CONFIG
      [super.first, config, '--sentinel']
    end

    # The answer to a client of either kind.
    def settings
      { url: "redis://:#{PASSWORD}@#{NAME}/0", sentinels: [{ host: '127.0.0.1', port: port }] }
    end
  end

  # One of a cluster, which takes Redis 7. Alone it holds none of the keys.
  class RedisClusterServer < RedisServer
    attr_reader :bus

    def command
      @bus = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
      super + ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf',
               '--cluster-port', bus.to_s, '--cluster-announce-ip', '127.0.0.1']
    end

    def keys?
      !call('DBSIZE').end_with?(':0')
    end

    # A key is served here, or by another.
    def whole?
      !call('GET', 'key').start_with?('-CLUSTERDOWN')
    end
  end

  # Two servers with half of the keys each.
  class RedisCluster
    HALVES = [%w[0 8191], %w[8192 16383]].freeze

    attr_reader :servers

    def initialize
      @servers = []
      HALVES.each { |half| (@servers << RedisClusterServer.new).last.call('CLUSTER', 'ADDSLOTSRANGE', *half) }
      first, second = servers
      first.call('CLUSTER', 'MEET', '127.0.0.1', second.port.to_s, second.bus.to_s)
    rescue StandardError
      stop
      raise
    end

    def whole?
      servers.all?(&:whole?)
    end

    def stop
      servers.each(&:stop)
    end
  end

  # PostgreSQL's server will not run as root.
  class PostgresServer < Server
    USER = 'dynoscale'
    PASSWORD = 's3cret-postgres'

    def start
      @bin = File.dirname(program('/usr/lib/postgresql/*/bin/pg_isready', '/usr/local/bin/pg_isready'))
      FileUtils.chmod(0o755, @directory)
      FileUtils.mkdir(data)
      FileUtils.chown('postgres', nil, data) if Process.uid.zero?
      system(*unprivileged, File.join(@bin, 'initdb'), '-D', data, '-U', USER, '-A', 'trust', '-N',
             '-E', 'UTF8', chdir: '/', out: log, err: log) or raise File.read(log)
      super
    end

    def command
      [*unprivileged, File.join(@bin, 'postgres'), '-D', data, '-p', port.to_s, '-k', data, '-F',
       '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=50']
    end

    def kill
      return unless @pid

      Process.kill(:INT, File.read(File.join(data, 'postmaster.pid')).to_i)
      Process.wait(@pid)
      @pid = nil
    end

    def ready?
      system(File.join(@bin, 'pg_isready'), '-q', '-h', '127.0.0.1', '-p', port.to_s)
    end

    # Of an empty database of that name.
    def create(name, port = self.port)
      %w[dropdb createdb].each do |command|
        system(File.join(@bin, command), '-h', '127.0.0.1', '-p', self.port.to_s, '-U', USER,
               *(['--if-exists', '--force'] if command == 'dropdb'), name, err: File::NULL)
      end
      "postgres://#{USER}:#{PASSWORD}@127.0.0.1:#{port}/#{name}"
    end

    private

    def data
      File.join(@directory, 'data')
    end

    def unprivileged
      Process.uid.zero? ? %w[runuser -u postgres --] : []
    end
  end

  # With one user, who needs no password.
  class MariaDBServer < Server
    def start
      FileUtils.chmod(0o755, @directory)
      program('/usr/sbin/mariadbd')
      install = program('/usr/bin/mariadb-install-db', '/usr/local/bin/mariadb-install-db')
      system(install, *user, "--datadir=#{data}", '--auth-root-authentication-method=normal',
             '--skip-test-db', chdir: '/', out: log, err: log) or raise File.read(log)
      super
    end

    def command
      [program('/usr/sbin/mariadbd'), '--no-defaults', *user, "--datadir=#{data}", "--port=#{port}",
       '--bind-address=127.0.0.1', "--socket=#{File.join(data, 'socket')}"]
    end

    def ready?
      TCPSocket.open('127.0.0.1', port, &:close) || true
    rescue SystemCallError
      false
    end

    def url(name)
      "mysql2://root@127.0.0.1:#{port}/#{name}"
    end

    private

    def data
      File.join(@directory, 'data')
    end

    def user
      Process.uid.zero? ? ['--user=root'] : []
    end
  end

  # A proxy that counts the client's round trips, and can stop answering. A round trip may take several
  # writes; it ends when the client waits for the answer.
  class Proxy
    attr_reader :port

    def initialize(to)
      @to = to
      @turns = 0
      @bytes = 0
      @silent = false
      @server = TCPServer.new('127.0.0.1', 0)
      @port = @server.addr[1]
      @threads = [Thread.new { loop { connect(@server.accept) } }]
    end

    def silent!
      @silent = true
    end

    # The number of round trips since the last call.
    def turns
      @turns.tap { @turns = 0 }
    end

    # The bytes that the server has sent since the last call.
    def bytes
      @bytes.tap { @bytes = 0 }
    end

    def stop
      @threads.each(&:kill)
      @server.close
    end

    private

    def connect(client)
      server = TCPSocket.new('127.0.0.1', @to)
      [client, server].each { |socket| socket.setsockopt(:TCP, :NODELAY, true) }
      @threads << Thread.new { carry(client, server) }
    end

    def carry(client, server)
      loop do
        ready, = IO.select([client, server])
        if ready.include?(server)
          answer = server.readpartial(65_536)
          @bytes += answer.bytesize
          pass(answer, client)
        else
          turn = said(client)
          @turns += 1
          pass(turn, server)
        end
      end
    rescue SystemCallError, IOError
      [client, server].each(&:close)
    end

    def said(client)
      turn = client.readpartial(65_536)
      turn << client.readpartial(65_536) while client.wait_readable(0.02)
      turn
    end

    def pass(bytes, to)
      to.write(bytes) unless @silent
    end
  end
end
