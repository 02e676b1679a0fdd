/**
 * What `answer` comes to; where that takes longer, rejects with what `late` makes. Leaves no timer behind.
 *
 * @param isAwaited `false`: a process that has nothing else to do may end meanwhile
 */
export async function inTime<T>(
  answer: PromiseLike<T>,
  milliseconds: number,
  late: () => unknown,
  isAwaited = true,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds)
    if (!isAwaited) timer.unref()
  })
  try {
    return await Promise.race([answer, over])
  } finally {
    clearTimeout(timer)
  }
}
