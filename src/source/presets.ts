import type { HeaderDecoder } from './decoding.js'
import { escapedPem } from './escaped-pem.js'
import { rfc9440 } from './rfc9440.js'

/** What one product sends. A new product is a new row, and a decoder where its grammar is new. */
export interface Preset {
  /** Header fields, lower case. The certificate field of a product without a convention has to be named by the operator. */
  readonly certificate: string | undefined
  readonly chain: string | undefined
  readonly decoder: HeaderDecoder
}

export type PresetName = 'rfc9440' | 'nginx'

/** Product → header fields and decoder. Formats are named by the operator and never guessed from a value. */
export const presets: { readonly [name in PresetName]: Preset } = {
  // RFC 9440 §2.2, §2.3: Client-Cert-Chain comes from the issuer of the end entity upwards, which is not in it.
  rfc9440: { certificate: 'client-cert', chain: 'client-cert-chain', decoder: rfc9440 },
  // nginx has a variable and no header; X-SSL-Client-Cert is what its documentation and most recipes call it. It has no chain variable.
  nginx: { certificate: 'x-ssl-client-cert', chain: undefined, decoder: escapedPem },
}
