import { DerError } from '../der/der-error.js'
import { Tag } from '../der/reader.js'
import { ClientCertConfigError, isClientCertError } from '../errors.js'
import { Certificate } from '../x509/certificate.js'
import { CertificateRevocationList } from '../x509/crl.js'
import { type PemBlock, PemError, parsePem } from '../x509/pem.js'

/**
 * Reads the CRLs of a file, PEM (one or many) or DER (one): all or nothing, at least one. Their entries are not read yet. Throws
 * {@link ClientCertConfigError} that names the place, the block, the reason and the fix.
 *
 * @param where how the operator wrote it: `crl: ./clients.crl`
 * @param octets that nobody changes from now on
 */
export function parseCrls(where: string, octets: Uint8Array): CertificateRevocationList[] {
  if (octets.length === 0) throw new ClientCertConfigError(`${where}: is empty — have the CA write its CRL there`)
  const blocks = octets[0] === Tag.sequence ? [{ label: 'X509 CRL', bytes: octets, line: 0 }] : pemBlocks(where, octets)
  if (blocks.length === 0) throw new ClientCertConfigError(`${where}: holds no CRL — have the CA write its CRL there`)
  return blocks.map((block, index) => readBlock(where, block, index, blocks.length))
}

function pemBlocks(where: string, octets: Uint8Array): PemBlock[] {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('utf8')
  try {
    return parsePem(text, { comments: true })
  } catch (error) {
    if (!(error instanceof PemError)) throw error
    const fix = 'openssl crl -in FILE -out clean.crl writes a clean one'
    throw new ClientCertConfigError(`${where}: line ${error.line}: ${error.message} — ${fix}`)
  }
}

function readBlock(where: string, block: PemBlock, index: number, count: number): CertificateRevocationList {
  const place = count === 1 ? where : `${where}: block ${index + 1} of ${count} (line ${block.line})`
  if (block.label !== 'X509 CRL') {
    const what = `${/^[AEIOU]/.test(block.label) ? 'an' : 'a'} ${shortened(block.label)}, not an X509 CRL`
    throw new ClientCertConfigError(`${place} holds ${what} — ${foreignFix(block.label)}`)
  }
  try {
    return CertificateRevocationList.parse(block.bytes)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    if (block.line === 0 && isCertificate(block.bytes)) {
      throw new ClientCertConfigError(`${place} holds a CERTIFICATE, not an X509 CRL — ${foreignFix('CERTIFICATE')}`)
    }
    const reason = `is not a CRL in DER: ${error.message} at octet ${error.offset}`
    throw new ClientCertConfigError(`${place} ${reason} — fetch it again, whole`, { cause: error })
  }
}

function isCertificate(der: Uint8Array): boolean {
  try {
    return Certificate.parse(der) !== undefined
  } catch (error) {
    if (isClientCertError(error)) return false
    throw error
  }
}

/** What a server sends may be called anything. */
const shortened = (label: string) => (label.length > 40 ? `${label.slice(0, 39)}…` : label)

function foreignFix(label: string): string {
  if (label === 'CERTIFICATE') return 'certificates belong to trust or intermediates; openssl crl -in FILE reads a CRL'
  if (label === 'CRL') return 'the label of RFC 7468 is X509 CRL: openssl crl -in FILE -out clean.crl'
  if (label.endsWith('PRIVATE KEY')) return 'keep the key where it belongs, and take it out of here'
  return 'openssl crl -in FILE -out clean.crl writes what belongs here'
}
