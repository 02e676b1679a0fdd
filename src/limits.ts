/**
 * Every number that bounds what a peer controls, with its origin. One table, so that a reviewer can read
 * the whole exposure in one sitting; each row is reached by a test.
 */
export const limits = {
  /** Octets of one DER certificate. An ML-DSA-87 certificate is about 7.5 KB; Node stops a TLS 1.3 leaf at about 64 KiB. */
  certificateBytes: 32_768,
  /** Certificates read from one peer, the end entity included. Node's TLS stack itself reads up to 100; a real path has 2 to 4. */
  presentedCertificates: 16,
  /** Intermediates between the end entity and the trust anchor. webpki allows 6, Go has no limit; x509-limbo and PKITS need 8. */
  intermediates: 10,
  /** Nesting of DER elements. A certificate needs 9; node-forge's unbounded recursion was CVE-2025-66031. */
  derDepth: 32,
  /** Content octets of one OBJECT IDENTIFIER. The longest in use have about 20; node-forge truncated arcs in CVE-2025-66030. */
  oidBytes: 128,
  /** Content octets of a serialNumber: RFC 5280 §4.1.2.2. */
  serialNumberBytes: 20,
  /** Extensions of one certificate. */
  extensions: 64,
  /** Entries of one GeneralNames, of one extendedKeyUsage, of one certificatePolicies and the like. */
  extensionEntries: 1_024,
  /** Relative distinguished names of one name, and attributes of one of them. */
  nameParts: 64,
  /** Octets of one CRL: 1.7 million entries of 38 octets. Places in it are kept in 32 bits. */
  crlBytes: 64 * 1024 * 1024,
  /** Octets of one CRL beside its entries: they are read in one go. An SLH-DSA signature alone may have 49,856. */
  crlHeadBytes: 131_072,
  /** Octets of one entry of a CRL. Usual ones have 20 to 50; one that names its certificate issuer has some hundred. */
  crlEntryBytes: 8_192,
  /** Different ways to write a certificate issuer in one indirect CRL. */
  crlIssuers: 1_024,
  /** Entries of one CRL that are looked at to find one certificate. Chance alone brings 15 together; more are repetitions. */
  crlCandidates: 64,
  /** Signature verifications of one validation. Go and webpki allow 100 (CVE-2018-16875); a JavaScript thread is shared. */
  signatures: 32,
  /** Candidate issuers looked at in one validation: webpki's 200,000, scaled for a shared JavaScript thread. */
  buildSteps: 1_000,
  /** Names compared with the name constraints of one CA, in one validation: webpki and Go allow 250,000, of dearer comparisons. */
  nameComparisons: 50_000,
  /** Nodes of the valid policy graph: OpenSSL allows 1,000 (CVE-2023-0464). */
  policyNodes: 2_048,
  /** Header fields of one request in header mode: Node 20 keeps 1,000 and drops the others without a word. */
  headerFields: 1_000,
  /** Octets of one forwarded-certificate header: percent-encoded PEM of `certificateBytes` at its worst expansion. */
  headerBytes: 65_536,
  /** Characters of one value that came from a peer, in any text we write. Go's error text was quadratic in CVE-2025-61729. */
  quotedCharacters: 256,
  /** Characters of one fact a refusal carries, and entries of a list in it: refusals are remembered. */
  detailCharacters: 1_024,
  detailEntries: 16,
  /** Characters of one sentence for the operator: a few quoted values and what is said about them. */
  helpCharacters: 1_500,
  /** Milliseconds for which a connection at the door, or an open one, waits for its decision. Node gives a whole handshake 120,000. */
  connectionDecisionMilliseconds: 10_000,
  /** Octets of a file with the server's own key or certificates. */
  credentialFileBytes: 1_048_576,
  /** Octets of one trust file: 10,000 anchors of 2 KB as PEM, with room. */
  trustFileBytes: 64 * 1024 * 1024,
} as const
