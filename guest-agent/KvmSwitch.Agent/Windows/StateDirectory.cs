using System.Runtime.Versioning;
using System.Security.AccessControl;
using System.Security.Principal;

namespace KvmSwitch.Agent.Windows;

/// <summary>
/// The directory that holds the pairing: for the system and its administrators alone. Users may make directories in ProgramData, so one that is
/// there already may be somebody else's: it is taken over each time.
/// </summary>
[SupportedOSPlatform("windows")]
internal static class StateDirectory
{
    /// <exception cref="UnauthorizedAccessException">Only an administrator may do that.</exception>
    /// <exception cref="IOException">It can't be made, or leads elsewhere.</exception>
    public static void Create(string path)
    {
        var directory = new DirectoryInfo(path);
        if (directory.LinkTarget is not null)
            throw new IOException("it leads to another place.");
        if (!directory.Exists)
            directory.Create(Rules());
        else if (!IsOurs(directory))
            directory.SetAccessControl(Rules());
    }

    private static DirectorySecurity Rules()
    {
        var rules = new DirectorySecurity();
        rules.SetAccessRuleProtection(isProtected: true, preserveInheritance: false);
        foreach (var kind in (ReadOnlySpan<WellKnownSidType>)[WellKnownSidType.LocalSystemSid, WellKnownSidType.BuiltinAdministratorsSid])
        {
            rules.AddAccessRule(new(
                new SecurityIdentifier(kind, null), FileSystemRights.FullControl,
                InheritanceFlags.ContainerInherit | InheritanceFlags.ObjectInherit, PropagationFlags.None, AccessControlType.Allow));
        }

        rules.SetOwner(new SecurityIdentifier(WellKnownSidType.BuiltinAdministratorsSid, null));
        return rules;
    }

    private static bool IsOurs(DirectoryInfo directory) =>
        directory.GetAccessControl(AccessControlSections.Access | AccessControlSections.Owner) is { AreAccessRulesProtected: true } now
        && now.GetOwner(typeof(SecurityIdentifier)) is SecurityIdentifier owner && IsAdministrative(owner)
        && now.GetAccessRules(includeExplicit: true, includeInherited: true, typeof(SecurityIdentifier)).Cast<FileSystemAccessRule>()
            .All(rule => rule.AccessControlType == AccessControlType.Deny || rule.IdentityReference is SecurityIdentifier who && IsAdministrative(who));

    private static bool IsAdministrative(SecurityIdentifier who) =>
        who.IsWellKnown(WellKnownSidType.LocalSystemSid) || who.IsWellKnown(WellKnownSidType.BuiltinAdministratorsSid);
}
