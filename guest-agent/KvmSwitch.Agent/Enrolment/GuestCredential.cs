using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvmSwitch.Agent.Enrolment;

/// <summary>How this guest proves who it is: its certificate, with the private key.</summary>
internal abstract record GuestCredential
{
    /// <exception cref="CryptographicException">It is damaged, or no longer where it was put.</exception>
    public abstract X509Certificate2 Open();

    /// <summary>Another one has taken its place.</summary>
    /// <exception cref="CryptographicException">It could not be removed.</exception>
    public virtual void Forget()
    {
    }
}

/// <summary>Certificate and private key as PKCS#12 without password: they live in the file of the identity alone.</summary>
internal sealed record PfxCredential(byte[] Bytes) : GuestCredential
{
    public override X509Certificate2 Open() => X509CertificateLoader.LoadPkcs12(Bytes, password: null);
}
