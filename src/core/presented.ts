import { type AnyClientCertError, deny, isClientCertError } from '../errors.js'
import type { IssuerMemory } from '../path/issuer-memory.js'
import type { PresentedChain, Reading } from '../source/source.js'
import { Certificate } from '../x509/certificate.js'

export interface Parsed {
  readonly endEntity: Certificate
  readonly intermediates: readonly Certificate[]
  /** Why a certificate a TLS client sent after its own could not be read; it is passed over, and named should the path be missing. */
  readonly unreadable: AnyClientCertError | undefined
}

/**
 * Octets to certificates. The first one is the end entity whatever becomes of the others: an unreadable one never promotes the next. In a
 * header every certificate has to be readable, because a proxy does not send garbage.
 */
export function parsePresented(
  { certificate, intermediates }: PresentedChain,
  reading: Reading,
  memory: IssuerMemory,
): Parsed {
  const header = 'header' in reading ? reading.header : undefined
  const parse = (der: Uint8Array, depth: number) => {
    try {
      return Certificate.parse(der, depth)
    } catch (error) {
      if (header === undefined || !isClientCertError(error) || error.code !== 'ERR_CLIENT_CERT_MALFORMED') throw error
      const reason = `holds what is no certificate: ${error.detail.reason}`
      throw deny('ERR_CLIENT_CERT_HEADER_MALFORMED', { header: header.name, preset: header.preset, reason }, { depth })
    }
  }
  const endEntity = fingerprinted(parse(certificate, 0))
  const readable: Certificate[] = []
  let unreadable: AnyClientCertError | undefined
  intermediates.forEach((der, index) => {
    try {
      readable.push(memory.recall(der) ?? fingerprinted(parse(der, index + 1)))
    } catch (error) {
      if (header !== undefined || !isClientCertError(error)) throw error
      unreadable ??= error
    }
  })
  return { endEntity, intermediates: readable, unreadable }
}

/** Of these octets, whoever gets hold of them later: by it what is remembered is known to be what was verified. */
function fingerprinted(certificate: Certificate): Certificate {
  void certificate.fingerprint
  return certificate
}
