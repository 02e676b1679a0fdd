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
  /** Extensions of one certificate, of one CRL, or of one entry of it. */
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
  /** Names of certificate issuers in one indirect CRL. National PKIs have some dozens. */
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
  /** Certificates of a CRL issuer's name that are looked at for one CRL, beside those of the path; and how many CRLs deep a CRL issuer's own status is asked. */
  crlSigners: 4,
  /** Signed CRLs that are kept although their source offers them no more, and addresses of certificates that are remembered. */
  crlsKept: 1_000,
  /** CRLs that are kept in the same way although nobody found them to be signed yet. Each costs a signature where it is asked about. */
  crlsUnsigned: 16,
  /** Addresses of CRLs that are asked for one certificate. */
  crlUrlsPerCertificate: 4,
  /** Octets of a deny list: 200,000 fingerprints with colons. */
  denyListBytes: 32 * 1024 * 1024,
  /** Header fields of one request in header mode: Node 20 keeps 1,000 and drops the others without a word. */
  headerFields: 1_000,
  /** Octets of one forwarded-certificate header: percent-encoded PEM of `certificateBytes` at its worst expansion. */
  headerBytes: 65_536,
  /** Parameters of one structured-field item, which mean nothing to us: RFC 9651 §3.1.2 asks for 256. */
  headerParameters: 256,
  /** Elements of one X-Forwarded-Client-Cert: one for each hop. */
  forwardedElements: 32,
  /** Octets of header values that are remembered with what they were decoded to and whose they are: 10,000 of RSA-2048, more of P-256. */
  headerMemoryBytes: 64 * 1024 * 1024,
  /** Octets of one file of proxy secrets: some hundreds of them. */
  secretFileBytes: 65_536,
  /** Characters of one value that came from a peer, in any text we write. Go's error text was quadratic in CVE-2025-61729. */
  quotedCharacters: 256,
  /** Characters of one fact a refusal carries, and entries of a list in it: refusals are remembered. */
  detailCharacters: 1_024,
  detailEntries: 16,
  /** Rules of one combination whose outcome is kept, beside the one that decided; and lines of an outcome that is printed. */
  outcomeEntries: 16,
  outcomeLines: 32,
  /** Characters of one sentence for the operator: a few quoted values and what is said about them. */
  helpCharacters: 1_500,
  /** Nesting of a rule document: a deeper one is no work of people. */
  documentDepth: 64,
  /** Milliseconds for which a connection at the door, or an open one, waits for its decision. Node gives a whole handshake 120,000. */
  connectionDecisionMilliseconds: 10_000,
  /** Milliseconds for which a source, or a gate of it, is waited for: as long as for `resolve`. Those of this package answer at once. */
  sourceMilliseconds: 10_000,
  /** Milliseconds for which a revocation checker is waited for. Ours keep to their own deadlines; Node gives a handshake as long. */
  revocationMilliseconds: 120_000,
  /** Decisions a candidate policy is asked about at once, those that wait included. What comes meanwhile is counted and passed over. */
  candidateDecisions: 64,
  /** Identities that are remembered to be decided about differently by a candidate: as many as accepted certificates. 1 KB each. */
  candidateDifferences: 10_000,
  /** Octets of a file with the server's own key or certificates. */
  credentialFileBytes: 1_048_576,
  /** Octets of one trust file: 10,000 anchors of 2 KB as PEM, with room. */
  trustFileBytes: 64 * 1024 * 1024,
  /** Octets of one OCSP response. One with its signer's RSA-4096 certificate has 4 KB, one with an ML-DSA-87 chain 20 KB. */
  ocspResponseBytes: 65_536,
  /** SingleResponses of one OCSP response. We ask for one; responders that answer for batches they have signed before send a few. */
  ocspResponses: 64,
  /** Certificates in one OCSP response: the signer's, and a path above it that is not needed. */
  ocspCertificates: 8,
  /** Certificates whose OCSP answers are remembered: as many as decisions are. */
  ocspAnswers: 10_000,
  /** Milliseconds from the request for a CRL or an OCSP response to its last octet: a client waits for it, and few wait for longer. */
  fetchMilliseconds: 3_000,
  /** Requests at once to one host. Browsers allow 6 and pay with one user's line; a responder serves every server that asks. */
  fetchesPerHost: 4,
  /** Requests that wait for their turn at one host: at 5 ms an answer, 4 at a time, a third of a second's wait. */
  fetchesWaiting: 256,
  /** Hosts asked at once on behalf of certificates: with `fetchesPerHost`, 256 of the 1,024 descriptors that many systems give a process. */
  fetchHosts: 64,
  /** Milliseconds a failure to fetch is remembered: as long as Retry-After tells clients of a 503 to wait. */
  fetchFailureMilliseconds: 5_000,
  /** Failures to fetch that are remembered; 4 KB each at most. */
  fetchFailures: 1_000,
  /** Characters of one URL to fetch. RFC 9110 §4.1 asks for 8,000; the longest of an OCSP request by GET have 400 (RFC 5019 §5). */
  fetchUrlCharacters: 2_048,
  /** Octets of the header fields of one answer, of its trailers, and of the extensions of its chunks: Node's own default. */
  fetchHeaderBytes: 16_384,
  /** Interim answers (RFC 9110 §15.2) before the final one. We ask for none. */
  interimAnswers: 8,
  /** Addresses of one host name. The largest services publish 8 to 16; each is judged. */
  resolvedAddresses: 64,
} as const
