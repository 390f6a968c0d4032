using System.Runtime.Versioning;
using System.Security.Cryptography;
using KvmSwitch.Agent.Enrolment;
using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>Looks at this computer for the doctor. Whatever can't be looked at is left open.</summary>
[SupportedOSPlatform("windows")]
internal static class WindowsFindings
{
    public static async Task<Findings> CollectAsync(ServiceEdges edges, string stateDirectory, CancellationToken cancellationToken)
    {
        PipeState? state = null;
        string? trouble = null;
        try
        {
            state = await ServiceRequest.StateAsync(edges, cancellationToken);
        }
        catch (ServiceNotAnsweringException silent)
        {
            trouble = (silent.InnerException ?? silent).Message.TrimEnd('.');
        }

        return new(edges.Health(), state, trouble, Certificate(stateDirectory), edges.Time.GetUtcNow(), TrayProgram.RunsInThisSession);
    }

    private static (DateTimeOffset From, DateTimeOffset To)? Certificate(string stateDirectory)
    {
        try
        {
            using var certificate = new IdentityStore(stateDirectory).Load()?.Credential.Open();
            return certificate is null ? null : (new DateTimeOffset(certificate.NotBefore), new DateTimeOffset(certificate.NotAfter));
        }
        catch (Exception hidden) when (hidden is BadIdentityException or CryptographicException)
        {
            return null;
        }
    }
}
