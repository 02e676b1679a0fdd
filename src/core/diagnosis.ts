import { type AnyClientCertError, deny } from '../errors.js'
import type { Reading } from '../source/source.js'

/** What is known around a refusal, beyond the certificates. */
export interface Circumstances {
  readonly reading: Reading
  readonly unreadable: AnyClientCertError | undefined
  /** Where the trust anchors come from, as the operator wrote it. */
  readonly trust: string
}

/** The same refusal with the cause an operator can act on, where the circumstances tell it. */
export function diagnose(error: AnyClientCertError, { reading, unreadable, trust }: Circumstances): AnyClientCertError {
  if (error.code !== 'ERR_CLIENT_CERT_UNKNOWN_ISSUER') return error
  if (unreadable !== undefined) return unreadable
  const isLost =
    error.detail.cause === 'missing-intermediate' &&
    reading.presented?.intermediates.length === 0 &&
    'resumed' in reading &&
    reading.resumed === true
  const cause = isLost ? 'lost-on-resumption' : error.detail.cause
  return deny('ERR_CLIENT_CERT_UNKNOWN_ISSUER', { ...error.detail, cause, trust }, { depth: error.depth })
}
