// What users of `mtls-identity/testing` see. No library is named here, so that their compiler needs the types of none.

/** One DER object, and the same as PEM text. */
export interface TestEncoding {
  readonly der: Uint8Array
  readonly pem: string
}

export type TestCertificate = TestEncoding

export type TestCrl = TestEncoding

/** A kind of key pair. `RSA-PSS-2048` is a key that may only make RSASSA-PSS signatures. */
export type TestKeyAlgorithm =
  | `P-${256 | 384 | 521}`
  | `RSA-${1024 | 2048 | 3072 | 4096}`
  | 'RSA-PSS-2048'
  | 'Ed25519'
  | 'Ed448'
  | 'secp256k1'

/** The hash of a signature. Ed25519 and Ed448 have their own, and ignore it. */
export type TestHash = `SHA-${1 | 256 | 384 | 512}`

/** Whatever holds a private key (PKCS#8 PEM): a credential, an authority, a CSR. */
export interface TestKeyHolder {
  readonly key: { readonly pem: string }
}

/**
 * A distinguished name, as RFC 4514 text (`CN=alice,O=Acme`: most specific first, so its DER holds O and then CN),
 * as a list of RDNs in the order of the DER (`[{ O: ['Acme'] }, { CN: ['alice'] }]`), or as the DER of a Name.
 * Attribute types are short names of any case or dotted OIDs. Values become UTF8String, except where the attribute
 * asks for PrintableString (C, serialNumber, dnQualifier) or IA5String (DC, emailAddress); in text, `#` and the hex of
 * a DER value is that value. The empty text is the empty name.
 */
export type TestName = string | readonly Readonly<Record<string, readonly string[]>>[] | Uint8Array

/**
 * Subject alternative names, in the order of the keys. Texts are written as they are, without a check, so that a test
 * can have wrong ones; only `ip` (an IPv4 or IPv6 address) and `directory` must be well-formed.
 */
export interface TestNames {
  dns?: readonly string[]
  uri?: readonly string[]
  email?: readonly string[]
  ip?: readonly string[]
  /** User principal names: otherName 1.3.6.1.4.1.311.20.2.3. */
  upn?: readonly string[]
  directory?: readonly TestName[]
}

export type TestKeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly'

/** An extension as it shall appear. `value` is the content of the extension's OCTET STRING. */
export interface TestExtension {
  oid: string
  /** Default: false. */
  critical?: boolean
  value: Uint8Array
}

/** What a certificate shall say. Every option has a default that makes a valid certificate. */
export interface IssueOptions {
  /** Default: `CN=alice`; `CN=localhost` for a server. */
  subject?: TestName
  /** Default: none; `localhost`, 127.0.0.1 and ::1 for a server. */
  names?: TestNames
  /** Milliseconds are cut off. Default: an hour ago; for an authority, a day ago. */
  notBefore?: Date
  /** Milliseconds are cut off. Default: in a day; for an authority, in a year. */
  notAfter?: Date
  /** Default: that of the issuer; P-256 if self-signed. */
  keyAlgorithm?: TestKeyAlgorithm
  /** Certify this key pair instead of a new one. */
  key?: TestKeyHolder
  /** Of the signature. Default: SHA-384 and SHA-512 if a P-384 or P-521 key signs, else SHA-256. */
  hash?: TestHash
  /** OIDs, or `clientAuth`, `serverAuth`, `ocspSigning`, `any`. Default: clientAuth; serverAuth for a server; false for an authority. */
  extendedKeyUsage?: readonly string[] | false
  /** Default: digitalSignature; keyCertSign and cRLSign for an authority. */
  keyUsage?: readonly TestKeyUsage[] | false
  /** Default: `{ ca: false }`; `{ ca: true }` for an authority. */
  basicConstraints?: { ca: boolean; pathLength?: number } | false
  /** Hexadecimal, of any length; a leading `-` makes it negative. Default: 16 random octets, positive. */
  serialNumber?: string
  /** 1 leaves out every extension but those of `extensions`. Default: 3. */
  version?: 1 | 3
  /** Whether the subject alternative name is critical. Default: only if the subject is empty. */
  criticalSan?: boolean
  /** Added at the end. One with the OID of a default extension replaces that. */
  extensions?: readonly TestExtension[]
  /** OIDs of default extensions to leave out. */
  omit?: readonly string[]
  /** Sign with this key although the issuer is named as usual: a forged signature. */
  signWith?: TestKeyHolder
}

/** A PKCS#10 request with its private key (PKCS#8 PEM): `issue({ key: csr })` certifies it. */
export type TestCsr = TestEncoding & TestKeyHolder

/** What a certificate request shall say. It asks for `names` and `extensions`, of which it has none by default, in an extensionRequest attribute. */
export type TestCsrOptions = Pick<IssueOptions, 'subject' | 'names' | 'extensions' | 'keyAlgorithm' | 'key' | 'hash'>

export type TestRevocationReason =
  | 'unspecified'
  | 'keyCompromise'
  | 'cACompromise'
  | 'affiliationChanged'
  | 'superseded'
  | 'cessationOfOperation'
  | 'certificateHold'
  | 'removeFromCRL'
  | 'privilegeWithdrawn'
  | 'aACompromise'

export interface TestRevocation {
  /** Hexadecimal, or what is revoked: a credential or an authority. */
  serialNumber: string | { readonly serialNumber: string }
  /** Default: no reason code. */
  reason?: TestRevocationReason
  /** Default: `thisUpdate`. */
  date?: Date
  /** Milliseconds are cut off. Default: none. */
  invalidityDate?: Date
  /** In an indirect CRL: whose certificate this entry and those after it are about. Default: that of the entry before, or the issuer of the CRL. */
  certificateIssuer?: TestName
  /** Further entry extensions. */
  extensions?: readonly TestExtension[]
}

/** RFC 5280 §4.2.1.13. */
export type TestReasonFlag = Exclude<TestRevocationReason, 'unspecified' | 'removeFromCRL'>

/** RFC 5280 §5.2.5, critical. What is false or absent is not written. */
export interface TestIssuingDistributionPoint {
  fullName?: TestNames
  onlyContainsUserCerts?: boolean
  onlyContainsCACerts?: boolean
  onlySomeReasons?: readonly TestReasonFlag[]
  indirectCRL?: boolean
  onlyContainsAttributeCerts?: boolean
}

/**
 * What a CRL shall say. Without options it is a fresh one that revokes nothing. Its default extensions are 2.5.29.35
 * (authority key identifier) and 2.5.29.20 (number).
 */
export interface TestCrlOptions extends Pick<IssueOptions, 'hash' | 'extensions' | 'omit' | 'signWith'> {
  revoked?: readonly TestRevocation[]
  /** Default: an hour ago. */
  thisUpdate?: Date
  /** Default: in a day. False leaves it out. */
  nextUpdate?: Date | false
  /** Default: one more than the authority's last. */
  number?: number | bigint
  /** The number of a complete CRL: makes it a delta CRL that starts from there. Default: it is complete. */
  baseNumber?: number | bigint
  /** Default: none. */
  issuingDistributionPoint?: TestIssuingDistributionPoint
}

/** A certificate with its private key, and what else its holder needs to present it. */
export interface TestCredential extends TestKeyHolder {
  readonly certificate: TestCertificate
  /** The intermediates to send along, the issuer first; the root is left out. */
  readonly chain: readonly TestCertificate[]
  /** Upper-case hexadecimal, as Node prints it. */
  readonly serialNumber: string
  /** SHA-256 of the certificate's DER, lower-case hexadecimal. */
  readonly fingerprint: string
  /** For `tls`, `https` and `http2`, of a client as of a server: the certificate with its chain, and the key, in PEM. */
  readonly tls: { readonly cert: string; readonly key: string }
}

/** As for an end entity, with the defaults of an authority. */
export interface AuthorityOptions extends IssueOptions {
  /** Default: `CN=Test CA` for a root, `CN=Test CA 2` for what it issues, and so on. */
  subject?: TestName
  /** The time by which validity defaults are reckoned, here and in all that is issued. Default: that of the issuer, or the clock at each call. */
  now?: Date
}

/** A certification authority: a root, or one issued by another. */
export interface TestAuthority extends Pick<TestCredential, 'certificate' | 'key' | 'serialNumber'> {
  /** RFC 4514 text. */
  readonly subject: string
  /** DER of the Name, for a look-alike to the octet. */
  readonly subjectDer: Uint8Array
  /** The intermediates between this authority and its root, its own issuer first. Empty for a root. */
  readonly chain: readonly TestCertificate[]
  /** A client certificate. */
  issue(options?: IssueOptions): Promise<TestCredential>
  /** A server certificate for localhost, 127.0.0.1 and ::1. */
  server(options?: IssueOptions): Promise<TestCredential>
  /** An authority one step further from the root. */
  issueAuthority(options?: AuthorityOptions): Promise<TestAuthority>
  /** A certificate for the name and key of another authority, issued by this one. */
  crossSign(
    other: TestKeyHolder & Pick<TestAuthority, 'subjectDer'>,
    options?: AuthorityOptions,
  ): Promise<TestCertificate>
  /** A CRL of this authority. Without `number`, each has the next: 1, 2, … */
  crl(options?: TestCrlOptions): Promise<TestCrl>
}

export interface TestPkiOptions {
  /** Of both authorities and, unless said otherwise, of all they issue. Default: P-256. RSA keys take long to make. */
  keyAlgorithm?: TestKeyAlgorithm
  /** The authorities are `CN=<name> Root CA` and `CN=<name> Intermediate CA`. Default: `Test`. */
  name?: string
  /** The time by which validity defaults are reckoned. Default: the clock at each call. */
  now?: Date
}

/** A root, an intermediate under it, and what the intermediate issues: `crl()` is its CRL, `root.crl()` the root's. */
export interface TestPki extends Pick<TestAuthority, 'issue' | 'server' | 'crl'> {
  readonly root: TestAuthority
  readonly intermediate: TestAuthority
  /** PEM of the root: what goes into `trust`. */
  readonly trust: string
  /** A certificate request, as a client would send it. */
  csr(options?: TestCsrOptions): Promise<TestCsr>
}
