using System.IO.Pipes;
using System.Net.Sockets;

// A named pipe of Windows, served by a TCP port of the test that runs outside of it: each connection to the pipe becomes one to the port.
var (name, port) = (args[0], int.Parse(args[1]));
Console.WriteLine("ready");
while (true)
{
    var pipe = new NamedPipeServerStream(name, PipeDirection.InOut, NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte, PipeOptions.Asynchronous);
    await pipe.WaitForConnectionAsync();
    _ = Task.Run(() => BridgeAsync(pipe));
}

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
