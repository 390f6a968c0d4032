using System.Diagnostics;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Daemon.Machines;
using KvmSwitch.Testing.Qmp;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace KvmSwitch.Tests.Daemon;

/// <summary>
/// A program that passes for QEMU: it says a version, and as a process of its own serves a QMP socket by passing each byte to a
/// <see cref="FakeQemu"/> and back. It ends when the fake does. No descriptors.
/// </summary>
internal sealed class QemuProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _socket;

    private QemuProcess(Process process, string socket) => (_process, _socket) = (process, socket);

    public int Pid => _process.Id;

    public string Socket => _socket;

    /// <summary>Writes the program.</summary>
    /// <returns>Its path.</returns>
    public static string Write(Folder folder, string fakeSocket, string version = "9.2.1")
    {
        var path = folder.Write("qemu", $$"""
            #!/usr/bin/perl
            use strict; use IO::Socket::UNIX; use IO::Select; use Socket;
            if ("@ARGV" eq "--version") { print "QEMU emulator version {{version}}\n"; exit 0; }
            my ($path) = "@ARGV" =~ /path=([^,]+qmp\.sock)/;
            my $listening = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 1) or die "no socket $path: $!\n";
            $| = 1; print "listening\n";
            while (1) {
              my $fake = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "{{fakeSocket}}") or exit 0;
              my $client;
              my $waiting = IO::Select->new($listening, $fake);
              my $greeting = "";
              while (!$client) {
                for my $ready ($waiting->can_read) {
                  if ($ready == $listening) { $client = $listening->accept; next; }
                  sysread($fake, $greeting, 65536, length $greeting) or exit 0;
                }
              }
              syswrite($client, $greeting);
              my $both = IO::Select->new($client, $fake);
              while ($both) {
                for my $from ($both->can_read) {
                  my $bytes;
                  if (!sysread($from, $bytes, 65536)) { undef $both; last; }
                  syswrite($from == $client ? $fake : $client, $bytes);
                }
              }
              close $client; close $fake;
            }
            """);
        File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32("755", 8));
        return path;
    }

    /// <summary>Starts it as someone else would.</summary>
    public static async Task<QemuProcess> StartAsync(Folder folder, FakeQemu fake)
    {
        var socket = folder["qmp.sock"];
        var process = Process.Start(new ProcessStartInfo(Write(folder, fake.SocketPath), [$"path={socket}"]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        Assert.Equal("listening", await process.StandardOutput.ReadLineAsync().WaitAsync(MachineRig.Patience));
        return new(process, socket);
    }

    public MachineRuntime Runtime(IMachineListener listener) => new(
        new ExternalMachine(MachineRig.Win, _socket, ["xhci.0"], 8), _socket, listener, new GuestLinks(TimeProvider.System),
        TimeProvider.System, NullLogger.Instance);

    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(MachineRig.Patience);
        _process.Dispose();
    }
}
