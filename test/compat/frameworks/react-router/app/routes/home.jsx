export default function Home() {
  return <p>served</p>;
}
