import type { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'

/** What is known of one name: how many certificates lie between it and an anchor, and which certificates name it as their issuer. */
interface NameNode {
  distance: number
  readonly leadsHere: NameNode[]
}

/**
 * How far each name is from a trust anchor, by name chaining alone (RFC 4158 §3.2: forward building with a look at the map first). Without it a
 * search through certificates that certify each other tries exponentially many paths that lead nowhere before a short one that leads home.
 */
export class IssuerGraph {
  readonly #nodes = new Map<string, NameNode>()

  /**
   * @param start the certificate whose issuers are searched
   * @param issuersOf every certificate whose subject is the issuer of the given one
   */
  constructor(
    start: Certificate,
    trust: TrustSnapshot,
    issuersOf: (certificate: Certificate) => readonly Certificate[],
  ) {
    const anchored: NameNode[] = []
    const open: Certificate[] = [start]
    this.#enter(start, trust, anchored)
    for (let certificate = open.pop(); certificate !== undefined; certificate = open.pop()) {
      const node = this.#nodeOf(certificate) as NameNode
      for (const issuer of issuersOf(certificate)) {
        const known = this.#nodeOf(issuer)
        const next = known ?? this.#enter(issuer, trust, anchored)
        next.leadsHere.push(node)
        if (known === undefined) open.push(issuer)
      }
    }
    measure(anchored)
  }

  /** Intermediates needed above this certificate: 0 where an anchor has its issuer's name, Infinity where none is reached. */
  distanceOf(certificate: Certificate): number {
    return this.#nodeOf(certificate)?.distance ?? Number.POSITIVE_INFINITY
  }

  #nodeOf({ issuer }: Certificate): NameNode | undefined {
    return this.#nodes.get(issuer.comparisonKey)
  }

  #enter({ issuer }: Certificate, trust: TrustSnapshot, anchored: NameNode[]): NameNode {
    const isAnchored = trust.bySubject(issuer).length > 0
    const node = { distance: isAnchored ? 0 : Number.POSITIVE_INFINITY, leadsHere: [] }
    this.#nodes.set(issuer.comparisonKey, node)
    if (isAnchored) anchored.push(node)
    return node
  }
}

/** Breadth first from the anchors, so that the first distance a name gets is the shortest. */
function measure(anchored: NameNode[]): void {
  const open = [...anchored]
  for (let i = 0; i < open.length; i++) {
    const { distance, leadsHere } = open[i] as NameNode
    for (const node of leadsHere) {
      if (node.distance <= distance + 1) continue
      node.distance = distance + 1
      open.push(node)
    }
  }
}
