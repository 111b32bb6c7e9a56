/** Page `journal`. */
export default function Journal() {
  return <section />;
}
