using System.IO.Pipes;
using System.Net.Sockets;
using System.Runtime.Versioning;
using KvmSwitch.PipeBridge;

// Stands in Windows for a test that runs outside of it.
//   pipe NAME PORT       serves a named pipe: each connection to it becomes one to a TCP port of the test
//   abuse NAME           has sessions at a named pipe that no tray would have
//   new-taskbar CLASS    behaves to a tray as a new taskbar would
//   close CLASS          asks a window to close
//   arrive ID PLACE      plugs a device in, and says whether the service was told
//   leave ID             plugs it out, and says the same
if (args is ["abuse", var abused])
{
    await Abuse.RunAsync(abused);
    return;
}

if (args is ["new-taskbar", var windowClass] && OperatingSystem.IsWindows())
{
    NewTaskbar.Announce(windowClass);
    return;
}

if (args is ["close", var closing] && OperatingSystem.IsWindows())
{
    NewTaskbar.Close(closing);
    return;
}

if (args is ["arrive", var arriving, var place] && OperatingSystem.IsWindows())
{
    PluggedDevice.Arrive(arriving, place);
    Tell();
    return;
}

if (args is ["leave", var leaving] && OperatingSystem.IsWindows())
{
    PluggedDevice.Leave(leaving);
    Tell();
    return;
}

var (name, port) = (args[1], int.Parse(args[2]));
Console.WriteLine("ready");
while (true)
{
    var pipe = new NamedPipeServerStream(name, PipeDirection.InOut, NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte, PipeOptions.Asynchronous);
    await pipe.WaitForConnectionAsync();
    _ = Task.Run(() => BridgeAsync(pipe));
}

[SupportedOSPlatform("windows")]
static void Tell() => Console.WriteLine(PluggedDevice.Announce("KvmSwitch devices") ? "told" : "nobody listens");

async Task BridgeAsync(NamedPipeServerStream pipe)
{
    await using (pipe)
    {
        try
        {
            using var tcp = new TcpClient();
            await tcp.ConnectAsync("127.0.0.1", port);
            tcp.NoDelay = true;
            var stream = tcp.GetStream();
            await await Task.WhenAny(pipe.CopyToAsync(stream), stream.CopyToAsync(pipe));
        }
        catch (Exception gone) when (gone is IOException or SocketException)
        {
            await Console.Error.WriteLineAsync(gone.Message);
        }
    }
}
